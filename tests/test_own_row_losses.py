"""Losses of rows that users define: the twins of built-in ones agree with them, wherever they run."""
# ruff: noqa: N805, F821 - formulas are no methods, and their vocabulary needs no import

import pickle
from fractions import Fraction

import numpy as np
import pytest

import fastloss as fl
from fastloss.rows import LABELS, Partition, at
from tests.own_row_losses import OwnCrossEntropy, OwnRowSquares

pytest.importorskip("numba")
RNG = np.random.default_rng(0)
Z, LABEL, W = RNG.standard_normal((700, 5)) * 3, RNG.integers(0, 5, 700), RNG.random(700)
WEIGHTS = [1.0, 2.0, 0.0, 0.5, 1.5]


def near(a, b, ulp=8):
    """Each of the two may err by 4 ULP."""
    return a.dtype == b.dtype and (np.abs(a - b) <= ulp * np.spacing(np.maximum(np.abs(a), np.abs(b)))).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("options", [{}, {"class_weight": WEIGHTS}, {"ignore_index": 3}, {"temperature": 2.5}])
def test_the_twin_of_cross_entropy(dtype, options):
    own, of, z = OwnCrossEntropy(**options), fl.SoftmaxCrossEntropy(**options), Z.astype(dtype)
    for w in (None, W):
        for mine, theirs in zip(own.loss_gradient(LABEL, z, w), of.loss_gradient(LABEL, z, w), strict=True):
            assert near(mine, theirs)
        assert own(LABEL, z, w) == pytest.approx(of(LABEL, z, w), rel=4 * float(np.finfo(dtype).eps))
        cost, gradient = own.cost_gradient(LABEL, z, w)
        assert cost == own(LABEL, z, w) == own(LABEL[::-1], z[::-1], None if w is None else w[::-1], n_threads=3)
        assert near(gradient, of.cost_gradient(LABEL, z, w)[1], 9)
    with pytest.raises(TypeError, match="has no Hessian"):
        own.gradient_hessian(LABEL, z)


def test_the_cost_is_exact():
    losses = OwnCrossEntropy().loss(LABEL, Z)
    assert OwnCrossEntropy()(LABEL, Z) == float(sum(map(Fraction, losses.tolist())) / len(losses))
    terms = [Fraction(a * b) for a, b in zip(losses.tolist(), W.tolist(), strict=True)]
    assert OwnCrossEntropy()(LABEL, Z, W) == float(sum(terms) / sum(map(Fraction, W.tolist())))


def test_with_built_in_losses_and_streams():
    specs = [
        OwnCrossEntropy(),
        "cross_entropy",
        "own_ce:temperature=2,class_weight=1;2;3;4;5",
        OwnCrossEntropy() + 2 * fl.SoftmaxCrossEntropy(),
    ]
    costs = fl.evaluate(specs, LABEL, Z)
    assert costs["own_cross_entropy:temperature=1.0"] == OwnCrossEntropy()(LABEL, Z) and costs["cross_entropy"] == fl.cross_entropy(
        LABEL, Z
    )
    one, other = fl.State(specs).update(LABEL[:99], Z[:99]), fl.State(specs).update(LABEL[99:], Z[99:])
    merged = one.merge(other)
    assert merged.compute() == costs == fl.State.from_bytes(merged.to_bytes()).compute()
    each = fl.State(OwnCrossEntropy(), per_class=True).update(LABEL, Z).results()[0].classes
    assert each[2].cost == OwnCrossEntropy()(LABEL[LABEL == 2], Z[LABEL == 2])


def test_nan_and_errors():
    z = Z.copy()
    z[7, 1] = np.nan
    own = OwnCrossEntropy()
    assert np.isnan(own(LABEL, z)) and own(LABEL, z, W, nan="skip") == own(np.delete(LABEL, 7), np.delete(z, 7, 0), np.delete(W, 7))
    with pytest.raises(fl.InputError, match="index 7"):
        own(LABEL, z, nan="raise")
    with pytest.raises(fl.InputError, match="`y_true` of `own_cross_entropy` must be a class from 0 to 4, got 9 at index 0"):
        own(np.full(700, 9), Z)


def test_rows_of_targets():
    y = RNG.random((50, 3))
    z = RNG.standard_normal((50, 3))
    own = OwnRowSquares()
    assert own.loss(y, z) == pytest.approx(0.5 * ((z - y) ** 2).sum(axis=1), rel=1e-15) and (own.gradient(y, z) == z - y).all()
    assert (own.gradient_hessian(y, z)[1] == 1.0).all()
    with pytest.raises(fl.InputError, match=r"must be in \[0, 1\]"):
        own(y + 1.0, z)


def test_pickles_by_name():
    loss = OwnCrossEntropy(2.0, ignore_index=1)
    assert pickle.loads(pickle.dumps(loss)) == loss and pickle.loads(pickle.dumps(loss))(LABEL, Z) == loss(LABEL, Z)

    @fl.loss(target=LABELS)
    class Local:
        partition = Partition("z")

        def value(z_label, top, log_rest):
            return (top - z_label) + log_rest

    with pytest.raises(pickle.PicklingError, match="is nothing that another process can import: define it at the top of a module"):
        pickle.dumps(Local())


def broken_gradient():
    @fl.loss(target=LABELS)
    class BrokenRows:
        partition = Partition("z")

        def value(z_label, top, log_rest):
            return (top - z_label) + log_rest

        def gradient(e, norm):
            return e * norm

        @at("label")
        def own(e_label, norm):
            return e_label * norm - 0.5


def unknown_name():
    @fl.loss(target=LABELS)
    class UnknownRows:
        def value(z_label, nothing):
            return nothing - z_label


def taken():
    fl.loss(target=LABELS, name="huber")(type("Rows", (), {"value": lambda z_label: z_label}))


def no_value():
    fl.loss(target=LABELS)(type("Rows", (), {}))


@pytest.mark.parametrize("define, words", [
    (broken_gradient, "the gradient of `broken_rows` does not agree with differences of its value: at y="), (unknown_name, "nothing"),
    (taken, "belongs to the loss `huber` of fastloss"), (no_value, "has no `value`"),
    (lambda: fl.loss(target=LABELS)(lambda y, p: p), "is a class of steps"),
])  # fmt: skip
def test_refused(define, words):
    with pytest.raises(fl.FormulaError) as caught:
        define()
    assert words in str(caught.value)


def test_the_example_of_the_docstring(tmp_path):
    import textwrap

    import fastloss.rows

    text = textwrap.dedent(fastloss.rows.__doc__.split("\n\n", 1)[1]).replace("MyCrossEntropy", "DocumentedCrossEntropy")
    (tmp_path / "example.py").write_text(text)
    space = {"__name__": "example"}
    exec(compile(text, str(tmp_path / "example.py"), "exec"), space)
    loss = space["DocumentedCrossEntropy"]()
    assert near(loss.gradient(LABEL, Z), fl.SoftmaxCrossEntropy().gradient(LABEL, Z), 2**30) and loss(LABEL, Z) == OwnCrossEntropy()(
        LABEL, Z
    )
