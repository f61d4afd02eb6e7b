"""Every definition is complete, checked and reachable under all its names."""

import math
import pickle
import re
from pathlib import Path

import numpy as np
import pytest

import fastloss as fl
from fastloss.compiler.subset import digest, formulas
from fastloss.engine import backends
from fastloss.losses import ALIASES, REGISTRY, definitions, find
from fastloss.losses.spec import SUM_REGISTRY, TERMS, Interval, Labels
from tests.references import VALUES

LOSSES = [definition for definition in REGISTRY.values() if not definition.root]
ids = [definition.name for definition in LOSSES]
SINGLES = REGISTRY | SUM_REGISTRY


def test_references_cover_exactly_the_registry():
    assert set(VALUES) == {definition.name for definition in LOSSES}


@pytest.mark.parametrize("definition", SINGLES.values(), ids=list(SINGLES))
def test_is_documented(definition):
    assert definition.summary.endswith(".") and len(definition.summary) > 20
    assert definition.formula and definition.source and definition.examples
    assert definition.family in ("regression", "binary", "counts")
    assert isinstance(definition.target, Interval | Labels) and isinstance(definition.prediction, Interval | Labels)
    assert all(parameter.doc for parameter in definition.parameters.values())


@pytest.mark.parametrize("definition", SINGLES.values(), ids=list(SINGLES))
def test_examples(definition):
    for y, p, value, *parameters in definition.examples:
        loss = getattr(fl, definition.class_name)(**(parameters[0] if parameters else {}))
        for dtype, tolerance in (("float64", 4e-16), ("float32", 2.4e-7)):
            got = loss(np.array(y, dtype).reshape(-1), np.array(p, dtype).reshape(-1))
            assert got == value or math.isclose(got, value, rel_tol=4 * tolerance), (definition.name, y, p, got, value)


@pytest.mark.parametrize("definition", SINGLES.values(), ids=list(SINGLES))
def test_reachable(definition):
    cls, function = getattr(fl, definition.class_name), getattr(fl, definition.name)
    assert fl.get(definition.name) == cls() == cls(**cls().parameters)
    for alias in (definition.name, *definition.aliases):
        assert find(alias) is definition and fl.get(alias) == cls() and callable(getattr(fl, alias))
    loss = cls()
    assert fl.get(loss.spec) == loss and hash(fl.get(loss.spec)) == hash(loss)
    assert pickle.loads(pickle.dumps(loss)) == loss and eval(repr(loss), vars(fl) | {loss.definition.class_name: cls}) == loss
    assert definition.summary in cls.__doc__ and definition.formula in cls.__doc__ and function.__name__ == definition.name
    with pytest.raises(AttributeError, match="does not change"):
        loss.delta = 3
    with pytest.raises(AttributeError, match="does not change"):
        del loss.parameters
    assert loss.spec and definition.class_name in dir(fl) and definition.name in dir(fl)


def test_names_are_unique():
    names = [name for definition in definitions() for name in (definition.name, *definition.aliases)]
    assert len(names) == len(set(names)) == len(ALIASES)


@pytest.mark.parametrize("definition", [*LOSSES, *TERMS.values()], ids=[*ids, *TERMS])
def test_compiled_kernels_are_of_this_text(definition):
    """A kernel module that was built from other formulas says so here."""
    assert set(formulas(definition)) == {"value", "gradient", "hessian"}
    if backends.current().name == "cython":
        assert backends.current().module.DIGESTS[definition.name] == digest(definition), "rebuild: pip install -e ."
        assert set(backends.current().module.KERNELS) == {*ids, *TERMS}


@pytest.mark.parametrize("definition", [*LOSSES, *SUM_REGISTRY.values()], ids=[*ids, *SUM_REGISTRY])
def test_parameters_refuse_what_is_outside(definition):
    cls = getattr(fl, definition.class_name)
    for name, parameter in definition.parameters.items():
        for bad in (float("nan"), "nonsense", [1.0], 1j):
            with pytest.raises(ValueError, match=f"`{name}` of `{definition.name}` must be "):
                cls(**{name: bad})
        for word in parameter.names:
            assert cls(**{name: word}).parameters[name] == word
            assert fl.get(cls(**{name: word}).spec) == cls(**{name: word})


@pytest.mark.parametrize("text, words", [
    ("hubber", "did you mean 'huber'"), ("huber:gamma=2", "takes name=value"), ("huber:delta", "takes name=value"),
    ("huber:delta=1,delta=2", "each once"), ("huber:delta=x", "must be > 0, got 'x'"), ("", "unknown loss ''"),
])  # fmt: skip
def test_bad_specs(text, words):
    with pytest.raises(ValueError) as caught:
        fl.get(text)
    assert words in str(caught.value)


def test_bad_arguments():
    with pytest.raises(TypeError, match="`alpha` is not a parameter of `huber`, which has delta"):
        fl.Huber(alpha=1)
    with pytest.raises(TypeError, match="takes 1 parameters"):
        fl.Huber(1.0, 2.0)
    with pytest.raises(TypeError, match="was given twice"):
        fl.Huber(1.0, delta=2.0)
    with pytest.raises(TypeError, match="a loss is given as text"):
        fl.get(3)
    with pytest.raises(AttributeError, match="no attribute 'hubber'"):
        fl.hubber  # noqa: B018


def test_classes_that_texts_name_are_there():
    package = Path(fl.__file__).parent
    texts = {path: path.read_text() for path in [*package.rglob("*.py"), package.parent / "README.md"] if path.exists()}
    named = {(path.name, name) for path, text in texts.items() for name in re.findall(r"\b(?:fl|fastloss)\.([A-Z]\w*)\(", text)}
    assert len(named) > 50 and [(path, name) for path, name in named if not hasattr(fl, name)] == []
