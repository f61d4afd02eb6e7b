"""Costs computed from exact sums: what they are in fractions, their gradients, streams, classes of their own, and what is refused."""

import copy
import math
import os
import pickle
import subprocess
import sys
import zlib
from fractions import Fraction

import numpy as np
import pytest

import fastloss as fl
from fastloss.engine import sums as engine
from fastloss.losses.spec import SUM_REGISTRY

H = Fraction(1, 2**400)  # step of numerical derivatives in fractions
LOSSES = [fl.Dice(), fl.Dice(smooth=0.0), fl.Tversky(), fl.Tversky(alpha=0.25, beta=0.75, smooth=0.125), fl.Tversky(1.0, 1.0, smooth=0.0)]
CLASSES = [*LOSSES, fl.Dice(smooth=1e-7)]
ids = [loss.spec for loss in LOSSES]


def exact(values):
    return [Fraction(value) for value in np.asarray(values, float).ravel().tolist()]


def textbook(loss, y, p, w):
    """1 less a fraction, of fractions, as it is written in papers."""
    given = {name: Fraction(value) for name, value in loss.parameters.items() if name != "average"}
    s, tp = given["smooth"], sum(c * a * b for a, b, c in zip(y, p, w, strict=True))
    if loss.name == "dice":
        top, whole = 2 * tp + s, sum(c * a for a, c in zip(y, w, strict=True)) + sum(c * b for b, c in zip(p, w, strict=True)) + s
    else:
        fp = sum(c * (1 - a) * b for a, b, c in zip(y, p, w, strict=True))
        fn = sum(c * a * (1 - b) for a, b, c in zip(y, p, w, strict=True))
        top, whole = tp + s, tp + given["alpha"] * fp + given["beta"] * fn + s
    return 1 - top / whole if whole else Fraction(0)


def slope(loss, y, p, w, i):
    """The derivative by p_i."""
    before, after = ([*p[:i], p[i] + h, *p[i + 1 :]] for h in (-H, H))
    return (textbook(loss, y, after, w) - textbook(loss, y, before, w)) / (2 * H)


def data(n, dtype="float64", soft=False, seed=0, bits=10):
    """Labels, probabilities and weights of so few bits that nothing is rounded before the sums."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2**8 + 1, n) / 2**8 if soft else rng.integers(0, 2, n).astype(float)
    return y.astype(dtype), (rng.integers(0, 2**bits + 1, n) / 2**bits).astype(dtype), rng.integers(0, 2**8, n) / 2**8


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("loss", LOSSES, ids=ids)
def test_costs_are_the_textbooks_correctly_rounded(loss, soft, dtype):
    y, p, w = data(300, dtype, soft)
    for weights in (None, w):
        want = textbook(loss, exact(y), exact(p), exact(np.ones(300) if weights is None else w))
        assert loss(y, p, weights) == want.numerator / want.denominator
        assert loss(y.reshape(15, 20), p.reshape(15, 20), None if weights is None else w.reshape(15, 20)) == loss(y, p, weights)
    if not soft:
        assert loss(y.astype(bool), p) == loss(y.astype(np.int8), p) == loss(y, p)


@pytest.mark.parametrize("loss", LOSSES, ids=ids)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_cost_near_0_keeps_its_digits(loss, dtype):
    eps = float(np.finfo(dtype).eps)
    y = np.resize([1.0, 1.0, 0.0], 900).astype(dtype)
    p = np.abs(y - np.resize([0, eps, 3 * eps, 0], 900)).astype(dtype)
    want = textbook(loss, exact(y), exact(p), [1] * 900)
    assert 0 < want < 2 * eps and loss(y, p) == want.numerator / want.denominator


@pytest.mark.parametrize("loss", LOSSES, ids=ids)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("soft", [False, True])
def test_gradients(loss, soft, dtype):
    """Within 4 ULP; of soft targets relative to the larger of what it would be of a label 0 and of a label 1."""
    y, p, w = data(40, dtype, soft, seed=3)
    p[:3] = np.finfo(dtype).eps, 1.0 - np.finfo(dtype).eps, 0.1
    tiny = Fraction(float(np.finfo(dtype).smallest_subnormal))
    for weights in (None, w, w * 1e-30, w * 1e25):
        cost, gradient = loss.cost_gradient(y, p, weights)
        assert cost == loss(y, p, weights) and gradient.dtype == dtype
        fractions = exact(y), exact(p), exact(np.ones(40) if weights is None else weights)
        for i in range(40):
            want = slope(loss, *fractions, i)
            of_a_label = [slope(loss, [*fractions[0][:i], Fraction(end), *fractions[0][i + 1 :]], *fractions[1:], i) for end in (0, 1)]
            size = max(map(abs, of_a_label)) if soft else abs(want)
            assert abs(Fraction(float(gradient[i])) - want) <= 4 * Fraction(float(np.finfo(dtype).eps)) / 2 * size + tiny, (i, y[i])


def test_gradients_go_where_they_are_asked_to():
    y, p, w = data(3000, "float32")
    cost, gradient = fl.Dice().cost_gradient(y, p, w)
    out = np.empty(3000)
    assert fl.Dice().cost_gradient(y, p, w, gradient_out=out)[1] is out and np.allclose(out, gradient, rtol=1e-6)
    over = p.copy()
    assert fl.Dice().cost_gradient(y, over, w, gradient_out=over)[1] is over
    assert over.tobytes() == gradient.tobytes()
    assert fl.Dice().cost_gradient(y, p, w, n_threads=1)[1].tobytes() == gradient.tobytes()


def test_identities():
    y, p, _ = data(500)
    hard = (p > 0.5).astype(float)
    both, either = (y * hard).sum(), np.maximum(y, hard).sum()
    assert fl.tversky(y, hard, alpha=1, beta=1, smooth=0) == pytest.approx(1 - both / either, rel=1e-15)
    assert fl.tversky(y, p, smooth=1) == fl.dice(y, p, smooth=2), "optax.dice_loss(smooth=1)"
    assert fl.dice_loss is fl.dice is fl.soft_dice and fl.tversky_loss is fl.tversky
    assert fl.dice(np.zeros(9), np.zeros(9)) == fl.dice(np.zeros(9), np.zeros(9), smooth=0) == 0.0
    cost, gradient = fl.Dice(smooth=0).cost_gradient(np.zeros(9), np.zeros(9))
    assert cost == 0.0 and not gradient.any()
    assert fl.dice(np.ones(9), np.zeros(9), smooth=0) == 1.0


def test_streams_threads_and_orders_leave_no_trace():
    rng = np.random.default_rng(1)
    n = 50_000
    y, p, w = (rng.random(n) < 0.3).astype(np.float32), rng.random(n, dtype=np.float32), rng.random(n)
    names = ["dice", "brier", "tversky:alpha=0.25", "dice:smooth=0", "log_loss"]
    for weights in (None, w):
        want = {name: fl.get(name)(y, p, weights) for name in names}
        assert fl.evaluate(names, y, p, weights) == fl.evaluate(names, y, p, weights, n_threads=2) == want
        order = rng.permutation(n)
        assert fl.evaluate(names, y[order], p[order], None if weights is None else w[order]) == want
        states = []
        for part in np.array_split(np.arange(n), 7):
            state = fl.State(names).update(y[part], p[part], None if weights is None else w[part])
            states.append(fl.State.from_bytes(state.to_bytes()))
        whole = states.pop(3)
        for state in states:
            whole.merge(state)
        assert whole.compute() == want and whole.n == n
        for twin in (copy.deepcopy(whole), pickle.loads(pickle.dumps(whole)), fl.State.from_bytes(whole.to_bytes())):
            assert twin.compute() == want and twin.to_bytes() == whole.to_bytes()
    assert len(fl.State(["dice", "tversky", "dice:smooth=3"])._tallies) == 3, "three sums for all of them"


def layouts(array):
    yield np.ascontiguousarray(array)
    yield np.asfortranarray(array)
    yield [array[:, j].copy() for j in range(array.shape[1])]
    yield np.repeat(array, 2, axis=1)[:, ::2]
    yield array.reshape(5, -1, array.shape[1])


@pytest.mark.parametrize("classes, rows", [(4, 5000), (4, 64), (40, 500), (40, 64)])
@pytest.mark.parametrize("loss", CLASSES, ids=[loss.spec for loss in CLASSES])
def test_classes_of_their_own(loss, classes, rows, monkeypatch):
    """average=None is the cost of each column, 'macro' their mean, in any layout and in blocks of any size."""
    for name, value in (("NUMBERS", 1), ("ROWS", rows), ("TOGETHER", 16)):
        monkeypatch.setattr(engine, name, value)
    (y, p, w), cls = (part.reshape(-1, classes) for part in data(classes * 500, "float32")), type(loss)
    given = {name: value for name, value in loss.parameters.items() if name != "average"}
    each, macro = cls(**given, average=None), cls(**given, average="macro")
    per_row = w[:, 0]
    for weights, columns in ((None, [None] * classes), (w, w.T), (per_row, [per_row] * classes), (0.5, [0.5] * classes)):
        want = [loss(y[:, j], p[:, j], columns[j]) for j in range(classes)]
        slopes = np.stack([loss.cost_gradient(y[:, j], p[:, j], columns[j])[1] for j in range(classes)], 1) / classes
        for targets, scores in zip(layouts(y), layouts(p), strict=True):
            deep = np.ndim(scores) == 3
            shaped = weights.reshape(5, -1, *weights.shape[1:]) if deep and np.ndim(weights) else weights
            assert each(targets, scores, shaped).tolist() == want
            assert macro(targets, scores, shaped) == math.fsum(want) / classes
            cost, gradient = macro.cost_gradient(targets, scores, shaped)
            assert cost == math.fsum(want) / classes and np.shape(gradient) == (p.shape if isinstance(scores, list) else np.shape(scores))
            np.testing.assert_allclose(gradient.reshape(-1, classes), slopes, rtol=3e-7)
    over = p.copy()
    assert macro.cost_gradient(y, over, gradient_out=over)[1] is over
    assert np.array_equal(over, macro.cost_gradient(y, p)[1])


def test_classes_in_a_state():
    y, p, w = (part.reshape(-1, 3) for part in data(3 * 4000))
    names = ["dice:average=none", "dice:average=macro", "dice", "brier", "tversky:average=macro"]
    whole = fl.State(names).update(y[:0], p[:0])
    for rows in np.array_split(np.arange(4000), 3):
        whole.merge(fl.State.from_bytes(fl.State(names).update(y[rows], p[rows], w[rows]).to_bytes()))
    found = whole.compute()
    assert found["dice:average=none"].tolist() == [fl.dice(y[:, j], p[:, j], w[:, j]) for j in range(3)]
    assert [found[name] for name in names[1:]] == [fl.get(name)(y, p, w) for name in names[1:]]
    assert [result.n for result in whole.results()] == [12000] * 5 and whole.results()[0].weight_sum == w.sum()
    before, fewer = whole.to_bytes(), fl.State(names).update(y[:, :2], p[:, :2])
    read = fl.State.from_bytes(before)
    for state in (whole, read):
        for wrong in (lambda s: s.update(y[:, :2], p[:, :2], w[:, :2]), lambda s: s.merge(fewer)):
            with pytest.raises(ValueError, match="`y_pred` has 2 classes, but what was added before has 3"):
                wrong(state)
        assert state.to_bytes() == before
    empty = fl.State(names).update(y[:0], p[:0])  # adds nothing, not even how many classes there are
    assert empty.merge(fewer).to_bytes() == fewer.to_bytes()


def test_bytes_of_columns_have_all_of_them():
    state = fl.State("dice:average=none").update(np.eye(3), np.full((3, 3), 0.5))
    for place, new in ((b'"1":', b'"3":'), (b'"2":', b'"-1":')):
        text = state.to_bytes().partition(b"\n")[2].replace(place, new)
        with pytest.raises(ValueError, match="this fastloss state is damaged"):
            fl.State.from_bytes(b"fastloss-state-1 %08x\n" % zlib.crc32(text) + text)


def test_nan():
    y, p, _ = data(60)
    p[[7, 30]] = np.nan
    keep = ~np.isnan(p)
    for loss in LOSSES:
        assert math.isnan(loss(y, p)) and loss(y, p, nan="skip") == loss(y[keep], p[keep])
        with pytest.raises(fl.InputError, match=f"`loss` of `{loss.name}` must be a number, got nan at index 7"):
            loss(y, p, nan="raise")
        cost, gradient = loss.cost_gradient(y, p)
        assert math.isnan(cost) and np.isnan(gradient).all()
    (result,) = fl.State("dice", nan="skip").update(y, p).results()
    assert (result.n, result.n_nan, result.n_inf) == (60, 2, 0)
    rows = p.reshape(20, 3)  # 7 and 30 are of classes 1 and 0
    found = fl.dice(y.reshape(20, 3), rows, average=None)
    assert np.isnan(found).tolist() == [True, True, False] and math.isnan(fl.dice(y.reshape(20, 3), rows, average="macro"))
    with pytest.raises(fl.InputError, match=r"got nan at index \(2, 1\)"):
        fl.dice(y.reshape(20, 3), rows, average=None, nan="raise")


def test_what_is_refused(monkeypatch):
    y, p, _ = (part.reshape(30, 3) for part in data(90))
    loss = fl.Dice()
    for method in ("loss", "gradient", "loss_gradient", "gradient_hessian", "loss_gradient_hessian"):
        with pytest.raises(TypeError, match="`dice` is computed from sums over all samples: it is a cost, without a loss of each sample"):
            getattr(loss, method)(y, p)
    with pytest.raises(ValueError, match="`dice` is computed from sums over all samples: it is no mean"):
        loss(y, p, reduction="sum")
    with pytest.raises(TypeError, match="average=None has C costs, and no one gradient"):
        fl.Dice(average=None).cost_gradient(y, p)
    with pytest.raises(ValueError, match="`average` of `dice` must be 'micro' or 'macro' or None, got 'weighted'"):
        fl.Dice(average="weighted")
    for given in ((y[:0], p[:0]), (y, p, np.zeros((30, 3))), (y, np.full_like(p, np.nan))):
        for average in ("micro", "macro", None):
            with pytest.raises(ValueError, match="`tversky` has nothing to divide by: "):
                fl.tversky(*given, nan="skip", average=average)
    with pytest.raises(ValueError, match="rows of C scores"):
        fl.dice(y[:, 0], p[:, 0], average="macro")
    with pytest.raises(ValueError, match=r"`sample_weight` has shape \(3,\), but there must be one weight per row, \(30,\), or per number"):
        fl.dice(y, p, np.ones(3), average="macro")
    with pytest.raises(ValueError, match=r"`y_true` has shape \(30, 2\), but `y_pred` has \(30, 3\)"):
        fl.dice(y[:, :2], p, average="macro")
    with pytest.raises(ValueError, match="too near the ends of float64; scale the weights"):
        fl.Dice(smooth=0).cost_gradient(y, p, np.full((30, 3), 1e-300))
    with pytest.raises(TypeError, match="sample_weight"):
        fl.Dice(w=1)
    p[20, 0], p[11, 2], p[11, 1] = -1.0, 2.0, 3.0
    for rows, few in ((8, 16), (30, 16), (8, 2), (30, 2)):  # the first bad value, in the order of the rows
        for name, value in (("NUMBERS", 1), ("ROWS", rows), ("FEW", few), ("TOGETHER", 2)):
            monkeypatch.setattr(engine, name, value)
        for average in ("micro", "macro"):
            with pytest.raises(fl.InputError, match=r"`y_pred` of `dice` must be in \[0, 1\], got 3.0 at index \(11, 1\)"):
                fl.dice(y, p, average=average)
    for weights, index in ((np.ones(30), "4"), (np.ones((30, 3)), "(4, 2)")):
        weights[(4, 2)[: weights.ndim]] = -1.0
        with pytest.raises(fl.InputError, match="`sample_weight` must be finite and >= 0, got -1.0") as caught:
            fl.dice(y, np.clip(p, 0, 1), weights, average="macro")
        assert str(caught.value).endswith(f"at index {index}")


PROGRAM = """
import numpy as np, fastloss as fl
from tests.test_sums import LOSSES
rng = np.random.default_rng(0)
y, p, w = rng.random((40, 3)), rng.random((40, 3)), rng.random((40, 3))
for dtype in ("float64", "float32"):
    for loss in LOSSES:
        cost, gradient = loss.cost_gradient(y.astype(dtype), p.astype(dtype), w)
        print(cost.hex(), gradient.tobytes().hex(), fl.dice(y, p, average="macro").hex())
"""


def test_backends_agree_to_the_bit():
    """There are only sums, differences and products; Python's are of float64 alone."""
    pytest.importorskip("numba")
    found = {}
    for backend in dict.fromkeys(("python", "numba", fl.info()["backend"])):
        environment = {**os.environ, "FASTLOSS_BACKEND": backend}
        done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment, cwd=os.getcwd())
        assert done.returncode == 0, done.stderr
        found[backend] = [line.split() for line in done.stdout.splitlines()]
        assert len(found[backend]) == 2 * len(LOSSES)
    assert all(lines[: len(LOSSES)] == found["python"][: len(LOSSES)] for lines in found.values())
    assert all(lines == found["numba"] for backend, lines in found.items() if backend != "python")


def test_files_and_the_command_line(tmp_path, capsys):
    from fastloss.cli import main

    y, p, w = data(1000)
    np.savez(tmp_path / "t.npz", y=y, p=p, w=w)
    found = fl.evaluate_files(tmp_path / "t.npz", [*SUM_REGISTRY, "brier"], weight="w", chunk_rows=77)
    assert found.costs == {name: fl.get(name)(y, p, w) for name in (*SUM_REGISTRY, "brier")}
    assert main(["eval", str(tmp_path / "t.npz"), "-l", "dice:smooth=0", "-q"]) == 0
    assert repr(fl.dice(y, p, smooth=0)) in capsys.readouterr().out
    assert main(["eval", str(tmp_path / "t.npz"), "-l", "dice:average=macro"]) == 2
    assert "of arrays of rows, and not of files" in capsys.readouterr().err
