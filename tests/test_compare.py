"""Two predictions of the same samples, on arrays: against exact fractions and SciPy, and the same bits for any pieces and threads."""

import math
from fractions import Fraction

import numpy as np
import pytest

import fastloss as fl
from fastloss.engine.signs import holm, log_probability, sign_test

N = 400


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(5)
    y = rng.integers(0, 2, N)
    return y, rng.random(N), rng.random(N), rng.random(N), rng.integers(0, 3, N)


def exactly(loss_a, loss_b, weights=None):
    """(difference, standard error) of per-sample losses in rational arithmetic; terms are the float64 products, as the cost's are."""
    weights = np.ones(len(loss_a)) if weights is None else weights
    w = list(map(Fraction, weights.tolist()))
    terms = [list(map(Fraction, (loss.astype(np.float64) * weights).tolist())) for loss in (loss_a, loss_b)]
    total = sum(w)
    difference = (sum(terms[1]) - sum(terms[0])) / total
    squares = sum((b - a - v * difference) ** 2 for a, b, v in zip(*terms, w, strict=True))
    n = sum(v > 0 for v in w)
    variance = squares * Fraction(n, n - 1) / total**2
    return float(difference), math.sqrt(float(variance))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
def test_difference_and_standard_error_are_those_of_exact_arithmetic(data, dtype, weighted):
    y, a, b, w, _ = data
    a, b, w = a.astype(dtype), b.astype(dtype), np.where(w < 0.1, 0.0, w) if weighted else None
    for name in ("mse", "log_loss"):
        found = fl.compare(name, y, a, b, w)[name]
        loss = fl.get(name)
        assert (found.difference, found.standard_error) == exactly(loss.loss(y, a), loss.loss(y, b), w)
        assert (found.cost_a, found.cost_b) == (loss(y, a, sample_weight=w), loss(y, b, sample_weight=w))
        assert found.weight_sum == (None if w is None else math.fsum(w))


def test_what_is_subtracted_loses_no_digits():
    """B is worse by 2**-40 of losses about 1, everywhere alike: the doubles' differences of costs, and of squares, would have no digits."""
    rng = np.random.default_rng(1)
    a = rng.integers(2**20, 2**21, 1000) / 2**20
    found = fl.compare("mae", np.zeros(1000), a, a + 2.0**-30)["mae"]
    assert (found.difference, found.standard_error, found.interval) == (2.0**-30, 0.0, (2.0**-30, 2.0**-30))
    found = fl.compare("rmse", np.zeros(1000), a * 1e8, a * 1e8 + 1e-6)["rmse"]
    first, second = (sum(map(Fraction, fl.get("mse").loss(np.zeros(1000), p).tolist())) / 1000 for p in (a * 1e8, a * 1e8 + 1e-6))
    assert found.difference == pytest.approx(float(second - first) / (found.cost_a + found.cost_b), rel=1e-15)


def test_roots_and_exponentials():
    mpmath = pytest.importorskip("mpmath")
    rng = np.random.default_rng(2)
    y, a, b = rng.standard_normal((3, N))
    found = fl.compare(["mse", "rmse"], y, a, b)
    squares = [fl.get("mse").loss(y, p) for p in (a, b)]
    with mpmath.workprec(300):
        roots = [mpmath.sqrt(mpmath.fsum(map(mpmath.mpf, one.tolist())) / N) for one in squares]
        assert found["rmse"].difference == float(roots[1] - roots[0])
    parts = squares[1] / (2 * float(roots[1])) - squares[0] / (2 * float(roots[0]))
    assert found["rmse"].standard_error == pytest.approx(parts.std(ddof=1) / math.sqrt(N), rel=1e-12)
    z, t = [rng.standard_normal((N, 4)) for _ in range(2)], rng.integers(0, 4, N)
    found = fl.compare(["cross_entropy", "perplexity"], t, *z)
    losses = [fl.get("cross_entropy").loss(t, p) for p in z]
    costs = [math.exp(math.fsum(one) / N) for one in losses]
    assert found["perplexity"].difference == pytest.approx(costs[1] - costs[0], rel=1e-12)
    parts = losses[1] * costs[1] - losses[0] * costs[0]
    assert found["perplexity"].standard_error == pytest.approx(parts.std(ddof=1) / math.sqrt(N), rel=1e-12)
    assert found["perplexity"].p_value == found["cross_entropy"].p_value


def test_perfect_predictions():
    y = np.arange(5.0)
    found = fl.compare("rmse", y, y, y)["rmse"]
    assert (found.difference, found.standard_error, found.p_value, found.equal) == (0.0, 0.0, 1.0, 5)
    found = fl.compare("rmse", y, y, y + 1)["rmse"]
    assert (found.difference, found.standard_error, found.better_a) == (1.0, 0.0, 5)
    one = fl.compare("mse", [1.0], [2.0], [3.0])["mse"]
    assert (one.difference, one.standard_error, one.interval) == (3.0, None, None)


def test_scipy_agrees(data):
    stats = pytest.importorskip("scipy.stats")
    y, a, b, _, _ = data
    found, loss = fl.compare("log_loss", y, a, b, confidence=0.9)["log_loss"], fl.get("log_loss")
    paired = stats.ttest_rel(loss.loss(y, b), loss.loss(y, a))
    assert found.difference / found.standard_error == pytest.approx(paired.statistic, rel=1e-12)
    low, high = stats.norm.interval(0.9, found.difference, found.standard_error)
    assert found.interval == pytest.approx((low, high), rel=1e-12)
    assert found.p_value == pytest.approx(stats.binomtest(found.better_a, found.better_a + found.better_b).pvalue, rel=1e-14)


@pytest.mark.parametrize(("first", "second"), [(0, 1), (3, 9), (12, 12), (480, 520), (499, 501), (0, 1000), (0, 0)])
def test_the_sign_test_of_few_is_exact(first, second):
    n, k = first + second, min(first, second)
    exact = min(Fraction(1), Fraction(2 * sum(math.comb(n, i) for i in range(k + 1)), 2**n))
    assert sign_test(first, second) == sign_test(second, first) == float(exact)


@pytest.mark.parametrize(("first", "second"), [(500, 501), (480, 600), (0, 1010), (3, 1030), (15, 1010), (2000, 2500), (9800, 10200)])
def test_the_sign_test_of_many(first, second):
    n, k = first + second, min(first, second)
    exact = min(Fraction(1), Fraction(2 * sum(math.comb(n, i) for i in range(k + 1)), 2**n))
    assert abs(Fraction(sign_test(first, second)) / exact - 1) < 1e-12


def test_the_sign_test_of_very_many():
    stats, mpmath = pytest.importorskip("scipy.stats"), pytest.importorskip("mpmath")
    assert sign_test(10**6, 10**6 + 3000) == pytest.approx(stats.binomtest(10**6, 2 * 10**6 + 3000).pvalue, rel=1e-11)
    k, n = 10**9, 2 * 10**9 + 50_000
    with mpmath.workprec(200):  # SciPy's own has 6 digits here
        exact = mpmath.loggamma(n + 1) - mpmath.loggamma(k + 1) - mpmath.loggamma(n - k + 1) - n * mpmath.log(2)
        assert abs(log_probability(k, n) - exact) < 1e-14
    assert sign_test(k, n - k) == pytest.approx(math.erfc((n / 2 - k - 0.5) / math.sqrt(n / 2)), rel=1e-6), "about normal"
    assert sign_test(10, 5000) == 0.0 and sign_test(10**6, 10**6) == 1.0


def test_holm():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.5]) == [1.0, 1.0] and holm([]) == []


def test_signs_leave_out_what_does_not_count(data):
    y, a, b, w, _ = data
    w, a = np.where(w < 0.3, 0.0, w), a.copy()
    a[::7], b = np.nan, np.where(np.arange(N) % 5 == 0, a, b)
    loss_a, loss_b = (fl.get("mse").loss(y, p) for p in (a, b))
    found = fl.compare("mse", y, a, b, w, nan="skip")["mse"]
    there = (w > 0) & ~np.isnan(loss_a) & ~np.isnan(loss_b)
    assert found.better_a == np.count_nonzero((loss_a < loss_b) & there)
    assert found.better_b == np.count_nonzero((loss_a > loss_b) & there)
    assert found.equal == np.count_nonzero((loss_a == loss_b) & there) > 0
    assert found.n == N and found.n_nan == np.count_nonzero(np.isnan(loss_a) | np.isnan(loss_b))
    assert found.cost_a == fl.mse(y[there], a[there], sample_weight=w[there])
    assert found.cost_b == fl.mse(y[there], b[there], sample_weight=w[there]), "a pair is left out on both sides"
    assert (found.difference, found.standard_error) == exactly(loss_a[there], loss_b[there], w[there])


def test_nan_and_infinities(data):
    y, a, b, _, _ = data
    a = a.copy()
    a[3] = np.nan
    found = fl.compare("mse", y, a, b)["mse"]
    assert math.isnan(found.cost_a) and math.isnan(found.difference) and math.isnan(found.standard_error) and found.n_nan == 1
    assert found.cost_b == fl.mse(y, b)
    with pytest.raises(fl.InputError, match="nan='skip'"):
        fl.compare("mse", y, a, b, nan="raise")
    wrong = b.copy()
    wrong[5] = 1 - y[5]
    found = fl.compare("log_loss", y, b, wrong, worst=1)
    assert found["log_loss"].difference == math.inf and math.isnan(found["log_loss"].standard_error) and found["log_loss"].n_inf == 1
    assert found.worst["log_loss"][0].row_b == 5 and found.regressions(1e300)
    found = fl.compare("log_loss", y, wrong, wrong, worst=1)
    assert math.isnan(found["log_loss"].difference) and found["log_loss"].equal == N and found.worst["log_loss"] == ()
    assert found.regressions(1.0), "what is NaN passes no limit"
    huge = fl.compare("mae", np.zeros(3), np.array([1e200, 0, 1]), np.ones(3))["mae"]
    assert huge.standard_error == math.inf and huge.difference == (2 - 1e200) / 3


def test_bootstrap_draws_both_alike(data):
    y, a, b, w, _ = data
    found = fl.compare(["mse", "rmse", "dice"], y, a, b, w, bootstrap=40, seed=3)
    replicates = []
    for p in (a, b):
        state = fl.State(["mse", "rmse", "dice"])
        analysis = fl.Analysis(state, bootstrap=40, seed=3)
        state.update(y, p, w)
        analysis.update(y, p, w)
        replicates.append(analysis.bootstrap)
    for name in ("mse", "rmse", "dice"):
        expected = replicates[1][name].replicates - replicates[0][name].replicates
        assert (found[name].bootstrap.replicates == expected).all()
        assert found[name].bootstrap.interval == tuple(np.quantile(expected, [(1 - 0.95) / 2, 1 - (1 - 0.95) / 2]))
    same = fl.compare("mse", y, a, a, bootstrap=10)["mse"].bootstrap
    assert not same.replicates.any() and same.standard_error == 0


def told(comparison):
    rows = [[repr(one).partition(", bootstrap=")[0] for one in part] for part in
            (comparison.results, *(s.results for s in comparison.segments or ()))]  # fmt: skip
    draws = [None if r.bootstrap is None else r.bootstrap.replicates.tolist() for r in comparison.results]
    return rows, [s.values for s in comparison.segments or ()], repr(comparison.worst), draws


def in_pieces(losses, cuts, y, a, b, w, by, n_threads=1, **options):
    paired = fl.Paired(losses, segments=10, worst=5, bootstrap=8, **options)
    keys = [(value,) for value in range(3)]
    for start, stop in zip([0, *cuts], [*cuts, len(y)], strict=True):
        here = slice(start, stop)
        given = [{"y_true": y[here], "y_pred": p[here], "sample_weight": None if w is None else w[here]} for p in (a, b)]
        for state, arguments in zip(paired.states, given, strict=True):
            state.update(**arguments, n_threads=n_threads)
        paired.update(*given, keys=keys, codes=by[here].astype(np.intp), n_threads=n_threads)
    return told(paired.result())


@pytest.mark.parametrize("weighted", [False, True])
def test_pieces_and_threads_leave_no_trace(data, weighted):
    y, a, b, w, by = (np.tile(part, 100) for part in data)
    a, w = a.astype(np.float32), w if weighted else None
    losses = ["log_loss", "rmse", "mse"]
    whole = fl.compare(losses, y, a, b, w, by=by, worst=5, bootstrap=8)
    assert [segment.values for segment in whole.segments] == [(0,), (1,), (2,)]
    for cuts in ([], [1, 2, 3], [777, 20_000], list(range(1000, 40_000, 1111))):
        assert in_pieces(losses, cuts, y, a, b, w, by) == told(whole)
    assert in_pieces(losses, [], y, a, b, w, by, n_threads=2) == told(whole)


def test_segments_are_comparisons_of_their_own(data):
    y, a, b, w, by = data
    whole = fl.compare(["mse", "dice"], y, a, b, w, by=by)
    for segment in whole.segments:
        here = by == segment.values[0]
        alone = fl.compare(["mse", "dice"], y[here], a[here], b[here], w[here])
        assert segment.n == here.sum() and segment["mse"].p_adjusted is not None and segment["dice"].p_adjusted is None
        for mine, theirs in zip(segment.results, alone.results, strict=True):
            assert repr(mine).partition(", p_adjusted")[0] == repr(theirs).partition(", p_adjusted")[0]
    adjusted = [segment["mse"].p_adjusted for segment in whole.segments]
    assert adjusted == holm([segment["mse"].p_value for segment in whole.segments])


def test_worst_are_those_that_differ_most(data):
    y, a, b, _, _ = data
    loss = fl.get("log_loss")
    apart = loss.loss(y, b) - loss.loss(y, a)
    found = fl.compare("log_loss", y, a, b, worst=7).worst["log_loss"]
    assert [sample.row_a for sample in found] == np.argsort(-np.abs(apart), kind="stable")[:7].tolist()
    first = found[0]
    assert (first.target, first.prediction_a, first.prediction_b) == (y[first.row_a], a[first.row_a], b[first.row_b])
    assert first.difference == apart[first.row_a] == first.loss_b - first.loss_a
    assert fl.compare("mse", y, a, a, worst=3).worst["mse"] == (), "what does not differ is no example"


def test_losses_of_sums(data):
    y, a, b, w, _ = data
    found = fl.compare("dice", y, a, b, w)["dice"]
    assert (found.cost_a, found.cost_b) == (fl.dice(y, a, sample_weight=w), fl.dice(y, b, sample_weight=w))
    assert found.difference == found.cost_b - found.cost_a
    assert (found.standard_error, found.interval, found.better_a, found.p_value) == (None,) * 4
    with pytest.raises(ValueError, match="`worst` is of losses of single samples; dice"):
        fl.compare(["mse", "dice"], y, a, b, worst=1)
    with pytest.raises(ValueError, match="average='macro'"):
        fl.compare("dice:average=macro", y, a, b)


def test_rows_with_class_weights_and_labels_to_ignore():
    rng = np.random.default_rng(3)
    t, z = rng.integers(0, 3, N), [rng.standard_normal((N, 3)).astype(kind) for kind in (np.float32, np.float64)]
    loss = fl.SoftmaxCrossEntropy(class_weight=np.array([1, 2, 0.5]), ignore_index=1)
    found = fl.compare(loss, t, *z, worst=2)
    result = found.results[0]
    assert (result.cost_a, result.cost_b) == (loss(t, z[0]), loss(t, z[1]))
    assert result.difference == pytest.approx(result.cost_b - result.cost_a, rel=1e-12)
    assert result.better_a + result.better_b + result.equal == np.count_nonzero(t != 1)
    plain = fl.SoftmaxCrossEntropy()
    share = np.array([1, 0, 0.5])[t]
    residual = [share * (plain.loss(t, one).astype(float) - cost) for one, cost in zip(z, (result.cost_a, result.cost_b), strict=True)]
    counted = np.count_nonzero(share)
    error = math.sqrt(((residual[1] - residual[0]) ** 2).sum() * counted / (counted - 1)) / share.sum()
    assert result.standard_error == pytest.approx(error, rel=1e-7)
    assert len(found.worst[result.name][0].prediction_a) == 3


def test_limits(data):
    y, a, b, _, _ = data
    found = fl.compare(["mse", "mae", "dice"], y, a, b)
    mse = found["mse"]
    assert found.regressions(1e9) == [] and len(found.regressions(-1e9)) == 3
    assert found.regressions({"mse": mse.difference}) == [] and found.regressions({"mse": mse.difference - 1e-12})
    assert found.regressions([1e9, "mse=-1e9"])[0].startswith("mse: the difference of costs, B - A, is")
    low, high = mse.interval
    for at, edge in (("low", low), ("high", high)):
        assert found.regressions({"mse": edge}, at) == [] and found.regressions({"mse": edge - 1e-9}, at)
    percent = 100 * mse.difference / mse.cost_a
    assert found.regressions(f"mse={percent + 1e-6}%") == [] and "of A's cost" in found.regressions(f"mse={percent - 1e-6}%")[0]
    assert "there is no interval" in found.regressions({"dice": 1e9}, "high")[0]
    drawn = fl.compare("mse", y, a, b, bootstrap=20)
    assert drawn["mse"].at("low") == drawn["mse"].bootstrap.interval[0] != low
    for limit, at, message in (("x", "low", "'x'"), (True, "low", "True"), ("log_loss=1", "low", "log_loss"), (1, "middle", "`at`")):
        with pytest.raises(ValueError, match=message):
            found.regressions(limit, at)


def test_what_is_refused(data):
    y, a, b, w, _ = data
    with pytest.raises(ValueError, match="y_pred_b"):
        fl.compare("mse", y, a, b[:-1])
    with pytest.raises(ValueError, match="`by` must have a value for each sample"):
        fl.compare("mse", y, a, b, by=[1, 2])
    with pytest.raises(fl.InputError, match="y_pred_b"):
        fl.compare("log_loss", y, a, b + 1)
    with pytest.raises(ValueError, match="nothing to compare"):
        fl.compare("mse", y[:0], a[:0], b[:0])
    with pytest.raises(ValueError, match="`confidence`"):
        fl.compare("mse", y, a, b, confidence=95)
    with pytest.raises(KeyError, match="the losses are mse"):
        fl.compare("mse", y, a, b)["mae"]
