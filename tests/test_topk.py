"""Distillation from a teacher's K classes a row: against the textbook in mpmath and torch's autograd; errors, memory, buffers."""

import gc
import inspect
import pickle
import tracemalloc

import numpy as np
import pytest
from mpmath import mp, mpf

import fastloss as fl
from fastloss.engine import backends, topk
from tests.accuracy import ulp

MODES = pytest.mark.parametrize("mode", topk.NORMALIZE)
COMPILED = pytest.mark.skipif(backends.current().name != "cython", reason="many rows: for the compiled kernels")


def teacher(n, classes, k, dtype=np.float64, scale=3.0, seed=0):
    """(indices, log_probs, student's logits): the k best classes of a teacher."""
    rng = np.random.default_rng(seed)
    full = fl.log_softmax(scale * rng.standard_normal((n, classes)))
    indices = np.argsort(-full, axis=1, kind="stable")[:, :k]
    z = scale * rng.standard_normal((n, classes))
    return indices, np.take_along_axis(full, indices, 1).astype(dtype), z.astype(dtype)


def total(terms):
    return mp.fsum(terms)


def textbook(indices, log_q, z, mode, temperature):
    """(loss, gradient) of a row of numbers: the formulas, in mpf. Padding has been left out."""
    u = [x / temperature for x in z]
    over = [u[j] for j in indices] if mode == "both" else u
    whole = total(mp.exp(x) for x in over)
    p = [mp.exp(x) / whole for x in u]
    q = [mp.exp(a) for a in log_q]
    if mode in ("topk", "both"):
        q = [x / total(q) for x in q]
    loss = total(x * mp.log(x / p[j]) if x else mpf(0) for x, j in zip(q, indices, strict=True))
    mass, gradient = total(q), [total(q) * x for x in p]
    others = [j for j in range(len(z)) if j not in indices]
    if mode == "both":
        gradient = [x if j in indices else mpf(0) for j, x in enumerate(gradient)]
    if mode == "tail":
        tail, rest = 1 - mass, total(p[j] for j in others)
        loss += tail * mp.log(tail / rest)
        gradient = [p[j] - (tail * p[j] / rest if j in others else 0) for j in range(len(z))]
    for x, j in zip(q, indices, strict=True):
        gradient[j] -= x
    return temperature**2 * loss, [temperature * x for x in gradient]


def check(found, indices, log_probs, z, mode, temperature, dtype, limit):
    """Errors in ULP of the results, or of the larger of what they are by definition the difference of."""
    for i in range(len(z)):
        kept = indices[i] >= 0
        own, log_q = indices[i][kept].tolist(), [mpf(float(x)) for x in log_probs[i][kept]]
        with mp.workprec(3000):
            loss, gradient = textbook(own, log_q, [mpf(float(x)) for x in z[i]], mode, mpf(temperature))
            short = max(mpf(0), 1 - total(map(mp.exp, log_q))) if mode == "full" else mpf(0)
        assert abs(mpf(float(found[0][i])) - loss) <= limit * ulp(max(abs(loss), temperature**2 * short), dtype), (i, found[0][i], loss)
        for j, true in enumerate(gradient):
            got = mpf(float(found[1][i, j]))
            assert abs(got - true) <= limit * ulp(max(abs(true), temperature * short * 2**-10), dtype), (i, j, got, true)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
@MODES
def test_against_the_textbook(mode, temperature, dtype):
    indices, log_probs, z = teacher(12, 40, 6, dtype)
    indices[3, 2:] = indices[7, :1] = -1
    log_probs[3, 2] = np.nan
    log_probs[3, 3] = 99.0
    found = fl.TopKDistillation(mode, temperature).loss_gradient(indices, log_probs, z)
    assert found[0].dtype == found[1].dtype == dtype
    check(found, indices, log_probs, z, mode, temperature, dtype, 16 if dtype == "float32" else 32)


@pytest.mark.parametrize("gap", [10.0, 30.0, 300.0])
@MODES
def test_sure_students_keep_their_digits(mode, gap):
    """Nearly all of the student's mass on the teacher's classes, or on one of them: what is left is tiny, and right."""
    indices, log_probs, z = teacher(6, 30, 4)
    np.put_along_axis(z, indices[:, :2], np.take_along_axis(z, indices[:, :2], 1) + gap, 1)
    z[4, indices[4, 0]] += gap
    found = fl.TopKDistillation(mode).loss_gradient(indices, log_probs, z)
    check(found, indices, log_probs, z, mode, 1.0, "float64", 256)  # some hundreds in the exponents of teacher and student
    if mode == "tail" and gap == 300.0:
        assert (np.exp(np.take_along_axis(fl.log_softmax(z), indices, 1)).sum(1) >= 1 - 1e-14).all(), "1 - that would be nothing"
        assert np.isfinite(found[0]).all()


@MODES
def test_a_student_near_its_teacher(mode):
    """The loss is of second order in the difference: as a sum of q log(q / p) it would be rounding alone."""
    rng = np.random.default_rng(1)
    z = rng.standard_normal((5, 12))
    indices = np.argsort(-z, 1)[:, :5]
    log_probs = np.take_along_axis(fl.log_softmax(z + 1e-7 * rng.standard_normal(z.shape)), indices, 1)
    loss, _ = fl.TopKDistillation(mode).loss_gradient(indices, log_probs, z)
    for i in range(5):
        with mp.workprec(300):
            true, _ = textbook(indices[i].tolist(), [mpf(x) for x in log_probs[i]], [mpf(x) for x in z[i]], mode, mpf(1))
        # log p and log q are rounded, by 1e-16 of about 2: the difference of 1e-7 has an error of some 1e-9 of itself
        if mode in ("both", "tail"):
            assert 0 < loss[i] < 1e-12 and abs(float(true) - loss[i]) <= 1e-7 * loss[i]
        else:
            assert abs(float(true) - loss[i]) <= 4e-16


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
@MODES
def test_against_torch(mode, temperature, dtype):
    torch = pytest.importorskip("torch")
    indices, log_probs, z = teacher(31, 200, 9, dtype)
    w = np.random.default_rng(2).random(31)
    t = torch.tensor(z.astype(np.float64), requires_grad=True)
    index, log_q = torch.tensor(indices), torch.tensor(log_probs.astype(np.float64))
    log_q = torch.log_softmax(log_q, -1) if mode in ("topk", "both") else log_q
    if mode == "both":
        own = torch.log_softmax(t.gather(1, index) / temperature, -1)
    else:
        own = torch.log_softmax(t / temperature, -1).gather(1, index)
    rows = (log_q.exp() * (log_q - own)).sum(1)
    if mode == "tail":
        tail, rest = 1 - log_q.exp().sum(1), 1 - own.exp().sum(1)
        rows = rows + tail * (tail.log() - rest.log())
    cost = (temperature**2 * rows * torch.tensor(w)).sum() / w.sum()
    cost.backward()
    found = fl.topk_distillation(indices, log_probs, z, w, normalize=mode, temperature=temperature, gradient=True)
    tolerance = 1e-12 if dtype == "float64" else 1e-6
    assert found.cost == pytest.approx(cost.item(), rel=tolerance)
    np.testing.assert_allclose(found.gradient, t.grad.numpy(), rtol=0, atol=tolerance * np.abs(t.grad.numpy()).max())


def test_all_classes_kept_is_distillation():
    rng = np.random.default_rng(3)
    student, master = rng.standard_normal((20, 8)), rng.standard_normal((20, 8))
    indices = np.tile(rng.permutation(8), (20, 1))
    for temperature in (1.0, 3.0):
        want = fl.Distillation(temperature=temperature).loss_gradient(master, student)
        log_probs = np.take_along_axis(fl.log_softmax(master, temperature=temperature), indices, 1)
        for mode in topk.NORMALIZE:
            loss, gradient = fl.TopKDistillation(mode, temperature).loss_gradient(indices, log_probs, student)
            np.testing.assert_allclose(loss, want[0], rtol=1e-13)
            np.testing.assert_allclose(gradient, want[1], atol=1e-15)
        scaled = np.take_along_axis(fl.log_softmax(master), indices, 1) / temperature
        np.testing.assert_allclose(fl.TopKDistillation("both", temperature).loss(indices, scaled, student), want[0], rtol=1e-12)


@MODES
def test_rows_without_a_teacher_cost_nothing(mode):
    indices, log_probs, z = teacher(5, 9, 3)
    indices[2] = -1
    loss, gradient = fl.TopKDistillation(mode).loss_gradient(indices, log_probs, z)
    assert loss[2] == 0 and not gradient[2].any() and (loss[[0, 1, 3, 4]] != 0).all() and gradient[[0, 1, 3, 4]].any(1).all()
    for unknown in (np.nan, np.inf, -np.inf):  # padding of the student, too
        z[2] = unknown
        again = fl.TopKDistillation(mode).loss_gradient(indices, log_probs, z)
        assert np.array_equal(again[0], loss) and np.array_equal(again[1], gradient)
        assert fl.topk_distillation(indices, log_probs, z, normalize=mode) == pytest.approx(loss.mean(), rel=1e-15)


@MODES
def test_nan_and_infinities(mode):
    """A NaN or +inf makes its row NaN and no other; -inf is a masked class; a class of the teacher's that is masked costs infinity."""
    indices, log_probs, z = teacher(7, 9, 3)
    clean = fl.TopKDistillation(mode).loss_gradient(indices, log_probs, z)
    kept, beyond = indices[1, 0], next(j for j in range(9) if j not in indices[1])
    for where, value in ((kept, np.nan), (beyond, np.nan), (kept, np.inf), (beyond, np.inf)):
        if mode == "both" and where == beyond:
            continue
        spoiled = z.copy()
        spoiled[1, where] = value
        loss, gradient = fl.TopKDistillation(mode).loss_gradient(indices, log_probs, spoiled)
        assert np.isnan(loss[1]) and np.isnan(gradient[1]).all() or mode == "both"
        for got, want in ((loss, clean[0]), (gradient, clean[1])):
            assert np.array_equal(np.delete(got, 1, 0), np.delete(want, 1, 0))
    masked = z.copy()
    masked[1, beyond] = -np.inf
    loss, gradient = fl.TopKDistillation(mode).loss_gradient(indices, log_probs, masked)
    assert np.isfinite(loss).all() and gradient[1, beyond] == 0
    masked[1, kept] = -np.inf
    assert fl.TopKDistillation(mode).loss(indices, log_probs, masked)[1] == np.inf
    masked[1] = -np.inf
    assert np.isnan(fl.TopKDistillation(mode).loss(indices, log_probs, masked)[1])
    log_probs[0, 1] = np.nan
    assert np.isnan(fl.topk_distillation(indices, log_probs, z, normalize=mode))
    log_probs[0, 1] = -np.inf  # a teacher that is sure that it is not this class
    assert np.isfinite(fl.TopKDistillation(mode).loss(indices, log_probs, z)[0])


@MODES
def test_the_same_whatever_the_blocks_and_threads(mode):
    indices, log_probs, z = teacher(101, 30, 5, np.float32)
    w = np.random.default_rng(4).random(101)
    h = fl.TopKDistillation(mode, 2.0)
    loss, gradient = h.loss_gradient(indices, log_probs, z, w)
    cost = h.cost(indices, log_probs, z, w)
    for memory in (1, 4000, 100_000):
        for n_threads in (1, 2):
            again = h.loss_gradient(indices, log_probs, z, w, memory=memory, n_threads=n_threads)
            assert np.array_equal(again[0], loss) and np.array_equal(again[1], gradient)
            assert h.cost(indices, log_probs, z, w, memory=memory, n_threads=n_threads) == cost
    assert h.cost(indices, log_probs, z) == float(np.mean(h.loss(indices, log_probs, z).astype(np.longdouble)))
    assert h.cost(indices, log_probs, z, reduction="sum") == float(np.sum(h.loss(indices, log_probs, z).astype(np.longdouble)))
    np.testing.assert_allclose(h.cost_gradient(indices, log_probs, z, w).gradient, gradient / w.sum(), rtol=1e-6)
    np.testing.assert_allclose(h.cost_gradient(indices, log_probs, z, w, reduction="sum").gradient, gradient, rtol=1e-6)
    np.testing.assert_allclose(h.loss(indices, log_probs, z, 3.0), 3 * h.loss(indices, log_probs, z), rtol=3e-7)


LAYOUTS = {
    "Fortran": np.asfortranarray, "strided": lambda a: np.repeat(np.repeat(a, 2, 0), 2, 1)[::2, ::2],
    "backwards": lambda a: a[::-1, ::-1].copy()[::-1, ::-1], "byte-swapped": lambda a: a.astype(a.dtype.newbyteorder()),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
@MODES
def test_layouts_and_buffers(mode, layout):
    given = teacher(23, 14, 4)
    h = fl.TopKDistillation(mode)
    loss, gradient = h.loss_gradient(*given)
    indices, log_probs, z = map(LAYOUTS[layout], given)
    for integer in ("i1", "u8", ">i4"):
        found = h.loss_gradient(indices.astype(integer), log_probs, z)
        assert np.array_equal(found[0], loss) and np.array_equal(found[1], gradient)
    loss_out, gradient_out = np.empty(46)[::2], LAYOUTS[layout](np.empty_like(gradient))
    found = h.loss_gradient(indices, log_probs, z, loss_out=loss_out, gradient_out=gradient_out)
    assert found[0] is loss_out and found[1] is gradient_out
    assert np.array_equal(loss_out, loss) and np.array_equal(gradient_out, gradient)
    if layout != "byte-swapped":
        found = h.loss_gradient(indices, log_probs, z, gradient_out=z)
        assert found[1] is z and np.array_equal(z, gradient)


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_half_precision(half):
    dtype = pytest.importorskip("ml_dtypes").bfloat16 if half == "bfloat16" else np.float16
    indices, log_probs, z = teacher(9, 14, 4)
    log_probs, z = log_probs.astype(dtype), z.astype(dtype)
    loss, gradient = fl.TopKDistillation("tail").loss_gradient(indices, log_probs, z, loss_out=np.empty(9, np.float32))
    want = fl.TopKDistillation("tail").loss_gradient(indices, log_probs.astype(np.float32), z.astype(np.float32))
    assert gradient.dtype == dtype and np.array_equal(gradient, want[1].astype(dtype)) and np.array_equal(loss, want[0])


@COMPILED
@pytest.mark.parametrize("memory", [300_000, None])
@pytest.mark.parametrize("gradient", [False, True])
@MODES
def test_memory_is_as_stated(mode, gradient, memory):
    """Above inputs and results no more than ``memory``; all logits in float32 would be 32 MB."""
    indices, log_probs, z = teacher(2000, 4000, 32, np.float32)
    log_probs, z = log_probs.astype(np.float16), z.astype(np.float16)
    out = {"gradient": True, "gradient_out": np.empty(z.shape, np.float16)} if gradient else {}
    fl.topk_distillation(indices, log_probs, z, normalize=mode, memory=memory, **out)  # what is made once, and stays, is no temporary
    gc.collect()
    tracemalloc.start()
    try:
        fl.topk_distillation(indices, log_probs, z, normalize=mode, memory=memory, **out)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    allowed = memory or topk.MEMORY
    assert 0.2 * allowed < peak <= allowed + 12 * np.getbufsize() + 20_000, "what is stated, the buffers of NumPy's casts, and Python's own"


J, Q, Z = np.array([[1, 0], [2, 4], [3, 1]]), np.log([[0.5, 0.25]] * 3), np.ones((3, 5))


def changed(array, *place_and_value):
    array = array.copy()
    *place, value = place_and_value
    array[tuple(place)] = value
    return array


REFUSED = {
    "class too large": ((changed(J, 1, 1, 5), Q, Z), {}, r"`indices` of `topk_distillation` must be a class from 0 to 4 .* got 5 .*1, 1"),
    "class negative": ((changed(J, 2, 0, -2), Q, Z), {}, r"`indices` .* got -2 at index \(2, 0\)"),
    "uint64": ((changed(J.astype("u8"), 2, 0, 2**64 - 1), Q, Z), {}, r"`indices` .* got 18446744073709551615 at index \(2, 0\)"),
    "twice": ((changed(J, 1, 1, 2), Q, Z), {}, r"`indices` .* must be different classes in a row, got 2 at index \(1, 1\)"),
    "above 0": ((J, changed(Q, 2, 1, 0.5), Z), {}, r"`log_probs` .* must be log-probabilities, <= 0, got 0.5 at index \(2, 1\); scores"),
    "floats": ((J + 0.0, Q, Z), {}, "`indices` must be integers, class numbers from 0 to 4 or -1; got dtype float64"),
    "integers": ((J, J, Z), {}, "`log_probs` must be floats, got dtype int64"),
    "logits": ((J, Q, Z[0]), {}, r"`logits` must have shape \(N, C\), .* got shape \(5,\)"),
    "one class": ((J, Q, Z[:, :1]), {}, r"`logits` must have .* got shape \(3, 1\)"),
    "rows": ((J[:2], Q, Z), {}, r"`indices` must have shape \(3, K\), .* got shape \(2, 2\)"),
    "no classes": ((J[:, :0], Q[:, :0], Z), {}, r"`indices` must have shape \(3, K\), .* got shape \(3, 0\)"),
    "log_probs": ((J, Q[:, :1], Z), {}, r"`log_probs` has shape \(3, 1\), but `indices` has \(3, 2\)"),
    "weights": ((J, Q, Z, np.ones(2)), {}, r"`sample_weight` must have shape \(3,\), .* got \(2,\)"),
    "negative weight": ((J, Q, Z, np.array([1, -1.0, 1])), {}, "`sample_weight` must be finite and >= 0, got -1.0 at index 1"),
    "no weight": ((J, Q, Z, np.zeros(3)), {}, "the mean of `topk_distillation` has nothing to divide by"),
    "no rows": ((J[:0], Q[:0], Z[:0]), {}, "the mean of `topk_distillation` has nothing to divide by"),
    "normalize": ((J, Q, Z), {"normalize": "all"}, "`normalize` of `topk_distillation` must be one of 'full', 'topk', .* got 'all'"),
    "temperature": ((J, Q, Z), {"temperature": 0.0}, "`temperature` of `topk_distillation` must be > 0, got 0.0"),
    "tiny": ((J, Q.astype("f4"), Z.astype("f4")), {"temperature": 1e-300}, "`temperature` of `topk_distillation` .* is 0.0 in float32"),
    "reduction": ((J, Q, Z), {"reduction": "none"}, "`reduction` must be one of 'mean', 'sum', got 'none'"),
    "memory": ((J, Q, Z), {"memory": 0}, "`memory` must be a whole number of bytes from 1"),
    "n_threads": ((J, Q, Z), {"n_threads": 0}, "`n_threads` must be a whole number from 1"),
    "gradient": ((J, Q, Z), {"gradient": "yes"}, "`gradient` must be True or False, got 'yes'"),
    "buffer of nothing": ((J, Q, Z), {"gradient_out": Z.copy()}, "`gradient_out` is given, but no gradient is wanted"),
    "buffer's shape": ((J, Q, Z), {"gradient": True, "gradient_out": Z[:2].copy()}, r"`gradient_out` must be .* of shape \(3, 5\)"),
    "buffer shared": ((J, Q, Z), {"gradient": True, "gradient_out": Z[::-1]}, "`gradient_out` overlaps `logits`"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    arguments, options, message = REFUSED[case]
    with pytest.raises((ValueError, TypeError), match=message):
        fl.topk_distillation(*arguments, **options)


def test_a_buffer_must_not_be_an_input():
    log_probs = np.zeros((3, 5)) - 2.0
    with pytest.raises(ValueError, match="`gradient_out` and `log_probs` must not share memory"):
        fl.topk_distillation(np.tile(np.arange(5), (3, 1)), log_probs, Z, gradient=True, gradient_out=log_probs)


def test_unnormalised_scores_are_for_those_that_normalise():
    rng = np.random.default_rng(5)
    scores = 5 * rng.standard_normal(Q.shape)
    for mode in ("topk", "both"):
        want = fl.topk_distillation(J, fl.log_softmax(scores), Z, normalize=mode)
        assert fl.topk_distillation(J, scores, Z, normalize=mode) == pytest.approx(want, rel=1e-14)
    over = np.log([[0.75, 0.2501]] * 3)  # 1.0001 by rounding: nothing is left
    assert fl.topk_distillation(J, over, Z, normalize="tail") == fl.topk_distillation(J, over, Z)


def test_nothing_to_add():
    assert fl.topk_distillation(J[:0], Q[:0], Z[:0], reduction="sum") == 0.0
    assert fl.TopKDistillation().loss_gradient(J[:0], Q[:0], Z[:0])[1].shape == (0, 5)


def test_a_configured_distillation():
    h = fl.TopKDistillation("tail", temperature=2.0)
    assert repr(h) == "TopKDistillation(normalize='tail', temperature=2.0)" and eval(repr(h), vars(fl) | {"TopKDistillation": type(h)}) == h
    assert pickle.loads(pickle.dumps(h)) == h != fl.TopKDistillation("tail") and hash(h) == hash(pickle.loads(pickle.dumps(h)))
    with pytest.raises(AttributeError, match="does not change"):
        h.temperature = 1.0
    with pytest.raises(AttributeError, match="does not change"):
        del h.temperature
    assert "normalize" in inspect.getdoc(fl.topk_distillation)
