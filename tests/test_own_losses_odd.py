"""Own losses at odd places: names that mean something elsewhere, losses defined again, decorators, states that somebody forged."""
# ruff: noqa: N805, F821 - formulas are no methods, and their vocabulary needs no import

import copy
import functools
import json
import pickle
import sys
import threading

import numpy as np
import pytest

import fastloss as fl
import tests.own_losses  # noqa: F401 - where kernels are kept
from fastloss.compiler import objects
from fastloss.engine.owndata import document_of, from_document
from fastloss.engine.portable import sealed, unsealed
from fastloss.engine.state import MAGIC
from fastloss.losses.spec import OWN

pytest.importorskip("numba")


def divide(a, b):
    return a * b


def absolute(exp):
    return exp(exp)


def test_names_of_numbers_and_helpers_hide_nothing():
    """In the interpreter, where derivatives are checked, functions have names that no formula can have."""

    @fl.loss
    class Shadows:
        minimum = fl.Parameter(4.0, fl.POSITIVE)

        def value(y, log, minimum):
            sign = log - y
            return divide(sign, sign) / 2.0 + min(minimum, abs(sign)) + absolute(sign) + log1p(log * log)

    @fl.loss
    class Lit:
        bound = fl.Parameter(4.0, fl.POSITIVE)

        def value(y, p, bound):
            e = p - y
            return e * e / 2.0 + min(bound, abs(e)) + exp(e) + log1p(p * p)

    y, p = np.random.default_rng(0).standard_normal((2, 100))
    for found, wanted in zip(Shadows().loss_gradient_hessian(y, p), Lit().loss_gradient_hessian(y, p), strict=True):
        assert found == pytest.approx(wanted, rel=1e-14)


def test_a_loss_and_what_took_its_name_are_two():
    @fl.loss
    class TakenOver:
        s = fl.Parameter(1.0, fl.POSITIVE)

        def value(y, p, s):
            return s * (p - y) * (p - y)

    old = TakenOver()

    @fl.loss
    class TakenOver:
        s = fl.Parameter(1.0, fl.POSITIVE)

        def value(y, p, s):
            return 3.0 * s * (p - y) * (p - y)

    new = TakenOver()
    y, p = np.zeros(2), np.ones(2)
    costs = fl.evaluate(["taken_over", old], y, p)
    assert list(costs.values()) == [3.0, 1.0]
    assert fl.State(old + new).update(y, p).compute() == (old + new)(y, p) == 4.0


def test_a_parameter_may_be_called_as_what_losses_have():
    """Attributes of its name are theirs, then; all else is as with any other name."""

    @fl.loss
    def named_self(y, p, self=1.0, gradient_out=1.0, spec=1.0):
        return self * gradient_out * spec * abs(y - p)

    loss = named_self(self=2.0, spec=3.0)
    assert loss == fl.get(loss.spec) == copy.deepcopy(loss) == pickle.loads(pickle.dumps(loss)) and loss(0.0, 1.0) == 6.0
    assert loss.self == 2.0 and loss.spec == "named_self:self=2.0,gradient_out=1.0,spec=3.0" and loss.parameters["spec"] == 3.0


def wrapped(function):
    @functools.wraps(function)
    def twice(y, p):
        return 2.0 * function(y, p)

    return twice


def test_what_a_decorator_does_is_no_part_of_a_formula():
    with pytest.raises(fl.FormulaError, match="is wrapped by a decorator"):

        @fl.loss
        @wrapped
        def twofold(y, p):
            return (p - y) * (p - y)

    with pytest.raises(fl.FormulaError, match="is wrapped by a decorator"):

        @fl.loss
        class Twofold:
            @wrapped
            def value(y, p):
                return (p - y) * (p - y)


def forged(loss, **changes):
    fields = unsealed(MAGIC, fl.State(loss).to_bytes(), "state")
    fields["own"][0] |= {"aliases": []} | changes
    fields["losses"] = [f"{changes['name']}:scale=1.0"]
    return sealed(MAGIC, fields)


PARAMETER = [1.0, ["Interval", "0x0.0p+0", "inf", True, False], "", [], None]


@pytest.mark.parametrize("changes", [
    {"name": "../../elsewhere/x"}, {"name": "a b"}, {"name": "x" * 1000}, {"name": "odd_one", "aliases": ["a/b"]}, {"name": 5},
    {"name": "odd_one", "parameters": {f"a{k}": PARAMETER for k in range(40)}}, {"name": "odd_one", "parameters": {"__slots__": PARAMETER}},
    {"name": "odd_one", "parameters": {"exp": PARAMETER}},
    {"name": "odd_one", "texts": {part: {"text": "def value(y, p, scale):\n    return p\0", "helpers": {}}
                                  for part in ("value", "gradient", "hessian")}},
    {"name": "odd_one", "texts": {part: {"text": "def value(y, p, scale):\n    return " + "-" * 50_000 + "p", "helpers": {}}
                                  for part in ("value", "gradient", "hessian")}},
])  # fmt: skip
def test_states_bring_only_what_could_have_been_defined(changes):
    """A name is part of the path of a file of code that is run: one of "../" would be read from, and written, anywhere."""
    before = dict(OWN)
    with pytest.raises(ValueError, match="damaged"):
        fl.State.from_bytes(forged(tests.own_losses.Cauchy(), **changes))
    assert before == OWN


def test_a_state_does_not_take_the_place_of_what_is_defined_here():
    """Two notebooks may have a class of one name for losses of two names."""
    document = document_of(tests.own_losses.Cauchy.definition) | {"name": "cauchy_of_another_notebook", "aliases": []}
    try:
        definition = from_document(document)
        assert definition.origin == tests.own_losses.Cauchy.definition.origin
        assert fl.get("cauchy") == tests.own_losses.Cauchy() and fl.get("cauchy_of_another_notebook").definition == definition
    finally:
        OWN.pop("cauchy_of_another_notebook", None)


def test_threads_define_and_evaluate_at_once():
    failed, y, p = [], *np.random.default_rng(0).standard_normal((2, 50))

    def work(which):
        try:
            for turn in range(12):
                loss = fl.loss(type(f"Of{which}", (), {"__module__": __name__, "__qualname__": f"Of{which}", **BODIES[(which + turn) % 3]}))
                assert loss()(y, p) == pytest.approx(np.mean(WANTED[(which + turn) % 3](p - y)), rel=1e-12)
                assert fl.get(f"of{which}") == loss()
        except BaseException as error:
            failed.append(error)

    old = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work, args=(which,)) for which in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(old)
    assert not failed


def square(y, p):
    return (p - y) * (p - y)


def fourth(y, p):
    return (p - y) * (p - y) * (p - y) * (p - y)


def parabola(y, p):
    return log1p((p - y) * (p - y))


BODIES = [{"value": square}, {"value": fourth}, {"value": parabola}]
WANTED = [np.square, lambda e: e**4, lambda e: np.log1p(e * e)]


def test_damaged_derivatives_are_derived_again(monkeypatch, tmp_path):
    """What is kept beside the kernels has a checksum: one bit makes 2.0 * of it 3.0 *, which is a formula as well."""
    monkeypatch.setenv("FASTLOSS_CACHE_DIR", str(tmp_path))

    def wanted():
        loss = fl.loss(type("Kept", (), {"__module__": __name__, "__qualname__": "Kept", "value": square}))
        return loss().gradient(0.0, 1.0)

    assert wanted() == 2.0
    (kept,) = tmp_path.glob("kept-*.json")
    whole = kept.read_bytes()
    assert json.loads(whole[32:])["gradient"]["text"].count("2.0 *") == 1
    kept.write_bytes(whole.replace(b"2.0 *", b"3.0 *"))
    assert wanted() == 2.0 and kept.read_bytes() == whole


def test_a_formula_that_is_too_deep_is_told(tmp_path):
    code = "import fastloss as fl\n\n@fl.loss\ndef too_deep(y, p):\n    return (p - y) * (p - y)" + " + (p - y) * (p - y)" * 1500 + "\n"
    (tmp_path / "too_deep.py").write_text(code)
    sys.path.insert(0, str(tmp_path))
    try:
        with pytest.raises(fl.FormulaError, match="too_deep: `too_deep` has expressions that are too deep"):
            __import__("too_deep")
    finally:
        sys.path.remove(str(tmp_path))


def test_a_full_disk_leaves_nothing_behind(monkeypatch, tmp_path):
    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(objects.os, "replace", full)
    with pytest.raises(OSError, match="no space"):
        objects.write(tmp_path / "x" / "one.o", b"1")
    assert not list((tmp_path / "x").iterdir())
