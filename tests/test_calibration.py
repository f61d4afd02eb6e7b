"""Calibration: against the definition in exact fractions, whole and in pieces; layouts, dtypes, policies, errors."""

import copy
import math
import pickle
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest

import fastloss as fl
from fastloss.engine import backends, calibration

COMPILED = pytest.mark.skipif(backends.current().name != "cython", reason="many rows: for the compiled kernels")
SAME = ("ece", "mce", "rms", "n", "n_nan", "n_ignored")


def of_rows(n=500, classes=6, dtype=np.float64, seed=0):
    """(labels, probabilities, logits): of a model that is too sure."""
    rng = np.random.default_rng(seed)
    z = (2 * rng.standard_normal((n, classes))).astype(dtype)
    p = fl.softmax(z)
    labels = np.array([rng.choice(classes, p=q / q.sum()) for q in fl.softmax(z.astype(float) / 2)])
    return labels, p, z


def of_numbers(n=500, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    p = rng.random(n).astype(dtype)
    return (rng.random(n) < p**2).astype(int), p


def definition(confidence, right, weights, bins):
    """(ece, mce, rms) and (count, weight, confidence, accuracy) of the bins: Guo et al.'s formulas, in fractions."""
    dtype = confidence.dtype.type
    ends = [Fraction(float(dtype(i / bins))) for i in range(bins + 1)]
    found, whole = [], sum(map(Fraction, weights.tolist()))
    for i in range(bins):
        own = [k for k, c in enumerate(confidence.tolist()) if (ends[i] < Fraction(c) or i == 0) and Fraction(c) <= ends[i + 1]]
        weight = sum((Fraction(weights[k]) for k in own), Fraction(0))
        sure = sum((Fraction(float(weights[k] * np.float64(confidence[k]))) for k in own), Fraction(0))
        hit = sum((Fraction(weights[k]) for k in own if right[k]), Fraction(0))
        found.append((len(own), weight, *((sure / weight, hit / weight) if weight else (None, None))))
    gaps = [(abs(hit - sure), weight / whole) for _, weight, sure, hit in found if weight]
    ece, rms = sum(gap * share for gap, share in gaps), math.sqrt(sum(gap * gap * share for gap, share in gaps))
    return (float(ece), float(max(gap for gap, _ in gaps)), rms), found


def agree(result, confidence, right, weights, bins):
    (ece, mce, rms), found = definition(confidence, right, weights, bins)
    assert (result.ece, result.mce) == (ece, mce) and result.rms == pytest.approx(rms, rel=1e-15)
    assert result.n == len(confidence) and len(result.bins) == bins
    for i, (part, (n, weight, sure, hit)) in enumerate(zip(result.bins, found, strict=True)):
        assert (part.low, part.high, part.n, part.weight) == (i / bins, (i + 1) / bins, n, float(weight))
        assert (part.confidence, part.accuracy) == (None if sure is None else float(sure), None if hit is None else float(hit))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("bins", [1, 2, 10, 15, 100])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_is_the_definition(dtype, bins, weighted):
    w = np.random.default_rng(7).random(500) if weighted else None
    ones = np.ones(500) if w is None else w
    labels, p, z = of_rows(dtype=dtype)
    right = p.argmax(1) == labels
    agree(fl.Calibration(bins).update(labels, p, w).compute(), p.max(1), right, ones, bins)
    agree(fl.Calibration(bins, from_logits=True).update(labels, z, w).compute(), fl.softmax(z).max(1), right, ones, bins)
    y, q = of_numbers(dtype=dtype)
    agree(fl.Calibration(bins).update(y, q, w).compute(), q, y == 1, ones, bins)
    agree(fl.Calibration(bins).update(y == 1, q, w).compute(), q, y == 1, ones, bins)


def test_logits_of_one_dimension():
    y, p = of_numbers()
    z = np.log(p) - np.log1p(-p)
    assert fl.calibration_error(y, z, from_logits=True) == pytest.approx(fl.calibration_error(y, 1 / (1 + np.exp(-z))), rel=1e-13)


def test_ends_of_bins_are_in_the_lower_bin():
    """(i - 1) / M < c <= i / M, the first with 0; also where i / M is no float of either size."""
    for dtype in (np.float32, np.float64):
        ends = np.arange(11, dtype=dtype) / dtype(10)
        found = fl.Calibration(10).update(np.zeros(11, int), ends).compute()
        assert [part.n for part in found.bins] == [2] + [1] * 9
        found = fl.Calibration(10).update(np.zeros(9, int), np.nextafter(ends[1:-1], dtype(1))).compute()
        assert [part.n for part in found.bins] == [0] + [1] * 9


def test_by_hand():
    """Three bins' worth: 0.2 sure and never right, 0.6 and half right, 1.0 and right."""
    y, p = [0, 0, 1, 0, 1, 1], [0.2, 0.2, 0.6, 0.6, 1.0, 1.0]
    found = fl.Calibration(5).update(y, p).compute()
    assert found.ece == pytest.approx((2 * 0.2 + 2 * 0.1) / 6, rel=1e-15) and found.mce == pytest.approx(0.2, rel=1e-15)
    assert found.rms == pytest.approx(math.sqrt((2 * 0.04 + 2 * 0.01) / 6), rel=1e-15)
    for norm, value in (("l1", found.ece), ("l2", found.rms), ("max", found.mce)):
        assert fl.calibration_error(y, p, bins=5, norm=norm) == value
    assert repr(found) == (
        "ece 0.1, mce 0.2, rms 0.129099, n 6\n"
        "             bin           n      weight  confidence    accuracy         gap\n"
        "  (0.000, 0.200]           2           2      0.2000      0.0000     -0.2000\n"
        "  (0.200, 0.400]           0           0           -           -           -\n"
        "  (0.400, 0.600]           2           2      0.6000      0.5000     -0.1000\n"
        "  (0.600, 0.800]           0           0           -           -           -\n"
        "  (0.800, 1.000]           2           2      1.0000      1.0000      0.0000"
    )
    assert repr(found.bins[1]) == "CalibrationBin(low=0.2, high=0.4, n=0, weight=0.0, confidence=None, accuracy=None)"


def test_against_torch():
    """torchmetrics' way of computing it, with its bins closed above."""
    torch = pytest.importorskip("torch")
    labels, p, _ = of_rows(2000, 10)
    sure, guess = torch.tensor(p).max(dim=1)
    right = (guess == torch.tensor(labels)).to(sure.dtype)
    index = torch.bucketize(sure, torch.linspace(0, 1, 16, dtype=sure.dtype)) - 1
    count, conf, acc = (torch.zeros(15, dtype=sure.dtype).scatter_add_(0, index, what) for what in (torch.ones_like(sure), sure, right))
    gap, share = torch.nan_to_num((acc - conf) / count).abs(), count / count.sum()
    for norm, value in (("l1", (gap * share).sum()), ("max", gap.max()), ("l2", (gap**2 * share).sum().sqrt())):
        assert fl.calibration_error(labels, p, norm=norm) == pytest.approx(value.item(), rel=1e-12)


@pytest.mark.parametrize("kind", ["rows", "logits", "numbers"])
def test_split_and_merged_to_the_same_bits(kind, monkeypatch):
    y, p, z = of_rows(1001, 5, np.float32) if kind != "numbers" else (*of_numbers(1001, np.float32), None)
    scores, w = z if kind == "logits" else p, np.random.default_rng(8).random(1001)
    made = lambda: fl.Calibration(from_logits=kind == "logits")  # noqa: E731
    whole = made().update(y, scores, w, n_threads=1).compute()
    order = np.random.default_rng(9).permutation(1001)
    parts = [made().update(y[i], scores[i], w[i], n_threads=2) for i in np.split(order, [1, 7, 300, 300, 900])]
    merged = pickle.loads(pickle.dumps(parts[3]))
    for i in (0, 5, 2, 4, 1):
        assert merged.merge(parts[i]) is merged
    one_by_one = made()
    for part in (slice(0, 500), slice(500, 1001)):
        one_by_one.update(y[part], scores[part], w[part])
    monkeypatch.setattr(calibration, "TALL", 64)
    for again in (merged, one_by_one, made().update(y, scores, w)):
        found = again.compute()
        assert all(getattr(found, name) == getattr(whole, name) for name in SAME)
        assert repr(found.bins) == repr(whole.bins)


def test_layouts_and_dtypes():
    labels, p, z = of_rows(200, 7, np.float32)
    want = fl.calibration_error(labels, p)
    strided = np.repeat(np.repeat(p, 2, 0), 3, 1)[::2, ::3]
    for layout in (np.asfortranarray(p), strided, list(np.ascontiguousarray(p.T)), p.astype(">f4"), p.reshape(10, 20, 7)):
        given = labels.reshape(10, 20) if getattr(layout, "ndim", 2) == 3 else labels
        assert fl.calibration_error(given.astype("i1"), layout) == want
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    for dtype in (np.float16, bfloat16):
        for labels_, scores in ((labels, p.astype(dtype)), ((p[:, 0] > 0.3), p[:, 1].astype(dtype))):
            assert fl.calibration_error(labels_, scores) == fl.calibration_error(labels_, scores.astype(np.float32))
        half = z.astype(dtype)
        assert fl.calibration_error(labels, half, from_logits=True) == fl.calibration_error(labels, half.astype("f4"), from_logits=True)
    y, q = of_numbers(60)
    assert fl.calibration_error(y.tolist(), q.tolist()) == fl.calibration_error(y.astype(float), q)
    tied = np.array([[0.4, 0.4, 0.2], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])  # the first of equals; a wrong guess of probability 0
    found = fl.Calibration(2).update([0, 0, 1], tied).compute()
    assert found.bins[0].n == 3 and found.bins[0].accuracy == 2 / 3


def test_ignored_rows_and_nan():
    labels, p, z = of_rows(90, 4)
    labels[::3] = -100
    kept = labels != -100
    want = fl.Calibration().update(labels[kept], p[kept]).compute()
    found = fl.Calibration(ignore_index=-100).update(labels, p).compute()
    assert found.n_ignored == 30 and repr(found).splitlines()[1:] == repr(want).splitlines()[1:] and found.ece == want.ece
    y, q = of_numbers(90)
    y[::3] = 7
    assert fl.calibration_error(y, q, ignore_index=7) == fl.calibration_error(y[y != 7], q[y != 7])
    q[[3, 4]] = np.nan  # the first of them is ignored
    found = fl.Calibration(ignore_index=7).update(y, q).compute()
    assert math.isnan(found.ece) and math.isnan(found.mce) and math.isnan(found.rms) and (found.n_nan, found.n) == (1, 59)
    seen = (y != 7) & (q == q)
    assert fl.calibration_error(y, q, ignore_index=7, nan="skip") == fl.calibration_error(y[seen], q[seen])
    with pytest.raises(fl.InputError, match="`y_pred` of `calibration` must be a number, got nan at index 4; nan='skip'"):
        fl.calibration_error(y, q, ignore_index=7, nan="raise")
    z[5, 1], z[7] = np.nan, -np.inf
    for scores, options in ((z, {"from_logits": True}), (np.where(z == z, p, np.nan), {})):
        found = fl.Calibration(ignore_index=-100, nan="skip", **options).update(labels, scores).compute()
        assert found.n_nan == (2 if options else 1)


def test_nothing_but_nan_is_nan():
    for y, p in (([0, 1], np.full(2, np.nan)), ([0, 1], np.full((2, 3), np.nan))):
        found = fl.Calibration().update(y, p).compute()
        assert math.isnan(found.ece) and math.isnan(found.mce) and math.isnan(found.rms) and (found.n, found.n_nan) == (0, 2)
        with pytest.raises(ValueError, match="calibration has nothing to divide by"):
            fl.calibration_error(y, p, nan="skip")


def test_a_copy_is_apart():
    labels, p, _ = of_rows(20, 3)
    one = fl.Calibration().update(labels, p)
    before = one.compute()
    other = copy.copy(one).update(labels[:5], p[:5])
    assert one.compute() == before and other.compute().n == 25


def test_infinite_logits():
    """Of one dimension they are certain; of rows one that is the largest leaves nothing to compare."""
    inf = math.inf
    assert fl.calibration_error([1, 0, 1], np.array([inf, -inf, 0.0]), from_logits=True) == fl.calibration_error([1, 0, 1], [1, 0, 0.5])
    assert fl.calibration_error([1, 1], np.array([[-inf, 0.5], [0.0, -inf]]), from_logits=True) == 0.5
    assert math.isnan(fl.calibration_error([1, 1], np.array([[inf, 0.5], [0.0, 1.0]]), from_logits=True))


LABELS, P, _ = of_rows(10, 3)
REFUSED = {
    "label": ((np.where(np.arange(10) == 7, 3, LABELS), P), {}, "`y_true` of `calibration` must be a class from 0 to 2, got 3 at index 7"),
    "probability": ((LABELS, P + 1), {}, r"`y_pred` of `calibration` must be in \[0, 1\], got 1\..* at index \(0, 0\)"),
    "number": ((LABELS > 0, 3 * P[:, 0]), {}, r"`y_pred` of `calibration` must be in \[0, 1\], got .*; logits: from_logits=True"),
    "binary label": ((np.full(10, 2), P[:, 0]), {}, r"`y_true` of `calibration` must be 0 or 1 \(or bool\), got 2 at index 0"),
    "weight": ((LABELS, P, np.where(np.arange(10) == 4, -1.0, 1.0)), {}, "^`sample_weight` must be finite and >= 0, got -1.0 at index 4"),
    "weights": ((LABELS, P, np.ones(9)), {}, r"`sample_weight` has shape \(9,\), but there must be one weight per row: \(10,\)"),
    "labels": ((LABELS[:9], P), {}, "there must be one label per row"),
    "binary labels": ((LABELS[:9], P[:, 0]), {}, r"`y_true` has shape \(9,\), but `y_pred` has \(10,\)"),
    "one column": ((LABELS, P[:, :1]), {}, "`y_pred` has shape .* pass the one column as one dimension"),
    "one number": ((1, 0.5), {}, r"`y_pred` must have shape \(N,\)"),
    "floats": ((LABELS + 0.5, P), {}, "`y_true` of `calibration` must be integers"),
    "beyond int64": ((np.full(10, 2**64 - 1, np.uint64), P), {"ignore_index": -1}, "`y_true` of `calibration` must be a class .* index 0"),
    "an array and a list": ((LABELS[:2], [P[:2, 0], [0.1, 0.2]]), {}, r"`y_pred` must be an array of rows, .* a list as `y_pred\[1\]`"),
    "text": ((LABELS, P.astype(str)), {}, "`y_pred` must be an array of"),
    "no rows": ((LABELS[:0], P[:0]), {}, "calibration has nothing to divide by"),
    "no weight": ((LABELS, P, 0.0), {}, "calibration has nothing to divide by"),
    "ignore_index": ((LABELS, P), {"ignore_index": [1]}, r"`ignore_index` of `calibration` must be an integer from .*, got \[1\]"),
    "norm": ((LABELS, P), {"norm": "l3"}, "`norm` must be one of 'l1', 'l2', 'max', got 'l3'"),
    "norms": ((LABELS, P), {"norm": ["l1"]}, r"`norm` must be one of 'l1', 'l2', 'max', got \['l1'\]"),
    "edges": ((LABELS, P), {"bins": np.array([0.0, 1.0])}, "`bins` must be a whole number from 1 to 100000, got array"),
    "bins": ((LABELS, P), {"bins": 0}, "`bins` must be a whole number from 1 to 100000, got 0"),
    "half a bin": ((LABELS, P), {"bins": 1.5}, "`bins` must be a whole number from 1 to 100000, got 1.5"),
    "nan": ((LABELS, P), {"nan": "drop"}, "`nan` must be one of 'propagate', 'skip', 'raise', got 'drop'"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    arguments, options, message = REFUSED[case]
    with pytest.raises((ValueError, TypeError), match=message):
        fl.calibration_error(*arguments, **options)


def test_a_failed_update_leaves_no_trace(monkeypatch):
    monkeypatch.setattr(calibration, "TALL", 64)
    labels, p, _ = of_rows(300, 3)
    found = fl.Calibration().update(labels, p)
    before = repr(found.compute())
    bad = p.copy()
    bad[200, 1] = 2.0
    with pytest.raises(fl.InputError, match=r"got 2.0 at index \(200, 1\)"):
        found.update(labels, bad)
    with pytest.raises(fl.InputError, match=r"got 9 at index \(14, 3\)"):
        found.update(np.where(np.arange(300) == 143, 9, labels).reshape(30, 10), p.reshape(30, 10, 3))
    with pytest.raises(fl.InputError, match="got nan at index 250"):
        found.update(labels, p, np.where(np.arange(300) == 250, np.nan, 1.0))
    assert repr(found.compute()) == before


def test_merging_different_questions_is_refused():
    with pytest.raises(ValueError, match=r"do not merge: Calibration\(bins=15\) and Calibration\(bins=10, from_logits=True, nan='skip'\)"):
        fl.Calibration().merge(fl.Calibration(10, from_logits=True, nan="skip"))
    with pytest.raises(TypeError, match="can merge only another Calibration, got int"):
        fl.Calibration().merge(3)


@COMPILED
def test_memory_is_of_blocks():
    """No array of the data's size: scores of 40 MB go through blocks of some MB."""
    p = np.full((100_000, 100), 0.01, np.float32)
    labels = np.zeros(100_000, int)
    fl.calibration_error(labels[:100], p[:100])
    for y, scores in ((labels, p), (labels, p[:, 0])):
        tracemalloc.start()
        try:
            fl.calibration_error(y, scores)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 4e6


def test_results_are_equal_where_all_numbers_are():
    rng = np.random.default_rng(3)
    p, y = rng.random(100), rng.integers(0, 2, 100)
    one, other = fl.Calibration(bins=5).update(y, p), fl.Calibration(bins=5).update(y[:40], p[:40])
    assert one.compute() == other.merge(fl.Calibration(bins=5).update(y[40:], p[40:])).compute() != other.update(y, p).compute()
