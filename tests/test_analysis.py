"""Segments, spread, worst samples and bootstrap: against States of the parts, NumPy and fractions, and the same for any split."""

import itertools
import math
import pickle
from fractions import Fraction

import numpy as np
import pytest

import fastloss as fl
from fastloss.engine.bootstrap import BLOCK, drawn
from fastloss.engine.samples import Sample
from fastloss.engine.segments import TooManySegments
from fastloss.engine.spread import Spread

N = 2500
KEYS = [(name,) for name in "edcba"]
PARTS = {"segments": 100, "spread": True, "worst": 7, "bootstrap": 20}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    p = rng.random(N).astype(np.float32)
    return {"y": (rng.random(N) < p).astype(np.int8), "p": p, "w": rng.integers(0, 5, N) / 3, "codes": rng.integers(0, 5, N)}


def run(losses, data, order, weighted=False, nan="propagate", parts=PARTS, merged=False):
    """(State, Analysis) of pieces, (start, stop), in this order; merged: each has its own."""
    state, analysis = fl.State(losses, nan=nan), None
    for start, stop in order:
        rows = slice(start, stop)
        here = state if not merged else fl.State(losses, nan=nan)
        mine = analysis if analysis is not None and not merged else fl.Analysis(here, **parts)
        arguments = {"y_true": data["y"][rows], "y_pred": data["p"][rows], "sample_weight": data["w"][rows] if weighted else None}
        here.update(**arguments)
        mine.update(**arguments, keys=KEYS, codes=data["codes"][rows], file=0, row=start)
        analysis = mine if analysis is None or not merged else analysis.merge(mine)
        if merged:
            state.merge(here)
    return state, analysis


def pieces(size):
    return [(start, min(N, start + size)) for start in range(0, N, size)]


def told(analysis):
    """Everything that an Analysis says, as plain values."""
    segments = [
        (s.values, s.n, [(r.name, r.cost, r.n, r.n_nan, r.n_inf, r.weight_sum) for r in s.results]) for s in analysis.segments or ()
    ]
    plain = ("n", "n_nan", "min", "max", "quantiles", "mean", "std", "standard_error", "interval")
    spread = {name: [getattr(s, field) for field in plain] for name, s in (analysis.spread or {}).items()}
    histograms = {
        name: [getattr(s.histogram, f).tolist() for f in ("low", "high", "count", "weight")] for name, s in (analysis.spread or {}).items()
    }
    worst = {
        name: [(s.loss, s.file, s.row, s.target, s.prediction, s.weight) for s in found] for name, found in (analysis.worst or {}).items()
    }
    bootstrap = (
        {name: [b.interval, b.standard_error, b.replicates.tolist()] for name, b in analysis.bootstrap.items()}
        if analysis.bootstrap
        else {}
    )
    return repr((segments, spread, histograms, worst, bootstrap))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("losses", [["log_loss"], ["squared_error", "log_loss", "root_mean_squared_error"]])
def test_any_split_order_and_merging_give_the_same_bits(data, losses, weighted):
    expected = told(run(losses, data, [(0, N)], weighted)[1])
    for size in (7, 1000):
        found = pieces(size)
        assert told(run(losses, data, found, weighted)[1]) == expected
        assert told(run(losses, data, found[::-1], weighted)[1]) == expected
    assert told(run(losses, data, pieces(700)[::-1], weighted, merged=True)[1]) == expected
    few = {name: array[:60] for name, array in data.items()}
    each = run(losses, few, [(i, i + 1) for i in range(60)], weighted)[1]
    assert told(each) == told(run(losses, few, [(0, 60)], weighted)[1])


def test_an_analysis_leaves_the_state_as_it_is(data):
    for losses, weighted in itertools.product((["log_loss"], ["log_loss", "brier"]), (False, True)):
        plain = fl.State(losses).update(data["y"], data["p"], data["w"] if weighted else None)
        assert run(losses, data, pieces(900), weighted)[0].to_bytes() == plain.to_bytes()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("nan", ["propagate", "skip"])
def test_segments_are_what_their_rows_alone_give(data, weighted, nan):
    losses = ["log_loss", "root_mean_squared_error", "dice", "poisson_loss"]
    bad = data | {"p": np.where(np.arange(N) % 97 == 3, np.nan, data["p"]).astype(np.float32)}
    bad["p"][5], bad["y"] = 0.0, np.where(np.arange(N) == 5, 1, data["y"])
    _, analysis = run(losses, bad, pieces(333), weighted, nan, {"segments": 100})
    assert [segment.values for segment in analysis.segments] == [("a",), ("b",), ("c",), ("d",), ("e",)]
    for segment in analysis.segments:
        rows = data["codes"] == KEYS.index(segment.values)
        alone = fl.State(losses, nan=nan).update(bad["y"][rows], bad["p"][rows], data["w"][rows] if weighted else None)
        assert segment.n == rows.sum()
        for found, expected in zip(segment.results, alone.results(), strict=True):
            assert (found.n, found.n_nan, found.n_inf, found.weight_sum) == (
                expected.n,
                expected.n_nan,
                expected.n_inf,
                expected.weight_sum,
            )
            assert found.cost == expected.cost or (math.isnan(found.cost) and math.isnan(expected.cost))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("options", ["", ":ignore_index=2", ":class_weight=1/2/0.3", ":class_weight=1/2/0.3,ignore_index=0"])
def test_segments_of_rows(weighted, options):
    rng = np.random.default_rng(8)
    z, y, codes = rng.standard_normal((600, 3)).astype(np.float32), rng.integers(0, 3, 600), rng.integers(0, 4, 600)
    w, loss = rng.integers(0, 4, 600) / 7 if weighted else None, "softmax_cross_entropy"
    given = {"class_weight": [1, 2, 0.3]} if "class" in options else {}
    given |= {"ignore_index": int(options[-1])} if "ignore" in options else {}
    loss = fl.SoftmaxCrossEntropy(**given)
    state = fl.State(loss)
    analysis = fl.Analysis(state, segments=10)
    for rows in np.array_split(np.arange(600), 5):
        mine = None if w is None else w[rows]
        state.update(y[rows], z[rows], mine)
        analysis.update(y[rows], z[rows], mine, keys=KEYS[:4], codes=codes[rows])
    assert len(analysis.segments) == 4
    for segment in analysis.segments:
        rows = codes == KEYS.index(segment.values)
        assert segment.results[0].cost == loss(y[rows], z[rows], None if w is None else w[rows])


@pytest.mark.parametrize(
    ("p", "y"), [("float16", "int8"), ("float32", "float64"), ("float64", "float32"), ("int32", "int8"), ("uint8", "bool")]
)
def test_losses_of_samples_are_those_that_are_summed(p, y):
    rng = np.random.default_rng(1)
    targets, predictions = rng.integers(0, 2, 500).astype(y), (rng.random(500) * 3).astype(p)
    state = fl.State(["squared_error", "absolute_error"])
    analysis = fl.Analysis(state, segments=1)
    state.update(targets, predictions)
    analysis.update(targets, predictions, keys=[()], codes=np.zeros(500, np.intp))
    assert [result.cost for result in analysis.segments[0].results] == list(state.compute().values())


def test_segments_of_no_weight_have_no_cost(data):
    found = data | {"w": np.where(data["codes"] == 2, 0.0, 1.0)}
    results = run("log_loss", found, [(0, N)], True, parts={"segments": 5})[1].segments
    assert [segment["log_loss"] is None for segment in results] == [False, False, True, False, False]


def test_too_many_segments_are_refused(data):
    with pytest.raises(TooManySegments, match="more than 4 segments; raise max_segments"):
        run("log_loss", data, [(0, N)], parts={"segments": 4})


def losses_of(data, which=slice(None)):
    return fl.LogLoss().loss(data["y"][which], data["p"][which]).astype(np.float64)


def test_spread_without_weights_is_numpys(data):
    state, analysis = run("log_loss", data, pieces(400), parts={"spread": True, "quantiles": [0, 0.01, 0.3, 0.5, 0.977, 1]})
    losses, found = losses_of(data), analysis.spread["log_loss"]
    assert (found.n, found.n_nan, found.min, found.max, found.mean) == (N, 0, losses.min(), losses.max(), state.compute())
    for q, value in found.quantiles.items():
        assert value == pytest.approx(np.quantile(losses, q, method="inverted_cdf"), rel=1 / 128)
    assert found.std == pytest.approx(losses.std(), rel=1e-14)
    assert found.standard_error == pytest.approx(losses.std(ddof=1) / math.sqrt(N), rel=1e-14)
    assert found.interval == pytest.approx(
        (found.mean - 1.959963984540054 * found.standard_error, found.mean + 1.959963984540054 * found.standard_error), rel=1e-14
    )
    histogram = found.histogram
    assert (histogram.count.sum(), histogram.weight.tolist()) == (N, histogram.count.tolist())
    for low, high, count in zip(histogram.low, histogram.high, histogram.count, strict=True):
        assert count == np.count_nonzero((losses >= low) & (losses < high))


def test_spread_with_weights(data):
    state, analysis = run("log_loss", data, pieces(400), True, parts={"spread": True, "quantiles": [0.05, 0.5, 0.9], "confidence": 0.9})
    losses, w, found = losses_of(data), data["w"], analysis.spread["log_loss"]
    mean = found.mean
    assert mean == state.compute() and found.n == np.count_nonzero(w)
    for q, value in found.quantiles.items():
        assert value == pytest.approx(np.quantile(losses, q, weights=w, method="inverted_cdf"), rel=1 / 128)
    assert found.std == pytest.approx(math.sqrt((w * (losses - mean) ** 2).sum() / w.sum()), rel=1e-13)
    error = math.sqrt(found.n / (found.n - 1) * ((w * (losses - mean)) ** 2).sum()) / w.sum()
    assert found.standard_error == pytest.approx(error, rel=1e-13)
    assert found.interval[1] - mean == pytest.approx(1.6448536269514722 * error, rel=1e-12)
    assert found.histogram.weight.sum() == pytest.approx(w.sum(), rel=1e-13)


def test_quantiles_keep_their_bound_over_all_of_float64():
    rng = np.random.default_rng(2)
    for sign in (1, -1):
        values = np.sort(sign * np.ldexp(rng.uniform(1, 2, 4001), rng.integers(-1022, 1023, 4001)))
        quantiles = [i / 40 for i in range(41)]
        spread = Spread(quantiles=quantiles).update(Sample(values))
        for q, found in spread.result("any").quantiles.items():
            assert found == pytest.approx(values[max(0, math.ceil(Fraction(str(q)) * 4001) - 1)], rel=1 / 128)


def test_zeros_and_infinities_have_buckets_of_their_own():
    found = (
        Spread(quantiles=[0.1, 0.25, 0.5, 0.9])
        .update(Sample(np.array([-0.0, 0.0, -math.inf, 1.0, math.inf, math.inf, -2.0])))
        .result("any")
    )
    assert found.histogram.count.tolist() == [1, 1, 2, 1, 2]
    assert (found.histogram.low[[0, 2, 4]].tolist(), found.histogram.high[[0, 2, 4]].tolist()) == ([-math.inf, 0, math.inf],) * 2
    assert list(found.quantiles.values()) == pytest.approx([-math.inf, -2, 0, math.inf], rel=1 / 128)
    assert math.isnan(found.mean) and math.isnan(found.std)
    assert Spread().update(Sample(np.array([1.0, math.inf]))).result("any").mean == math.inf


def test_nan_makes_a_spread_unknown_or_is_left_out():
    sample = Sample(np.array([1.0, math.nan, 3.0]))
    found = Spread("propagate").update(sample).result("any")
    assert found.n_nan == 1 and all(map(math.isnan, (found.min, found.max, found.mean, found.std, *found.quantiles.values())))
    found = Spread("skip").update(sample).result("any")
    assert (found.n, found.n_nan, found.min, found.max, found.mean, found.std) == (2, 1, 1, 3, 2, 1)


def test_the_interval_of_a_root_is_its_own(data):
    found = run(["rmse", "mse"], data, [(0, N)], parts={"spread": True})[1].spread
    assert found["rmse"].interval == pytest.approx([math.sqrt(end) for end in found["mse"].interval], rel=1e-15)
    assert Spread().update(Sample(np.ones(1))).result("any").interval is None, "one sample has no standard error"


def test_squares_beyond_float64_are_no_small_deviation():
    found = Spread().update(Sample(np.array([1e200, 1.0]))).result("any")
    assert (found.mean, found.std, found.standard_error) == (5e199, math.inf, math.inf)


@pytest.mark.parametrize("loss", ["log_loss", "zero_one:threshold=0.5"])
def test_worst_samples_are_numpys(data, loss):
    """zero_one has nothing but ties."""
    losses = np.asarray(fl.get(loss).loss(data["y"], data["p"]))
    order = np.lexsort((np.arange(N), -losses))
    order = order[data["w"][order] > 0][:7]
    for size in (1, 7, 1000, N):
        found = run(loss, data, pieces(size)[::-1], True, parts={"worst": 7})[1].worst[loss]
        assert [sample.row for sample in found] == order.tolist()
        assert [(s.loss, s.target, s.prediction, s.weight) for s in found] == [
            (losses[i], data["y"][i], data["p"][i], data["w"][i]) for i in order
        ]


def test_worst_samples_are_no_nan_and_as_many_as_there_are():
    state = fl.State("squared_error")
    analysis = fl.Analysis(state, worst=5)
    analysis.update(np.zeros(3), np.array([math.nan, 2.0, math.inf]), file=3, row=10)
    assert [(s.loss, s.file, s.row) for s in analysis.worst["squared_error"]] == [(math.inf, 3, 12), (4.0, 3, 11)]


@pytest.mark.parametrize("weighted", [False, True])
def test_bootstrap_costs_are_those_of_drawn_samples(data, weighted):
    """The draws of each row are weights: the replicates are the costs that the engine gives for these."""
    losses = ["log_loss", "root_mean_squared_error", "dice"]
    analysis = run(losses, data, pieces(1000), weighted, parts={"bootstrap": 9, "seed": 4})[1]
    part = analysis.parts["bootstrap"]
    draws = np.concatenate([part.draws(0, block) for block in range(-(-N // BLOCK))])[:N]
    whole = np.round(data["w"] * 3)  # so that products of weights and draws are exact
    for name, loss in zip(losses, map(fl.get, losses), strict=True):
        found = run(losses, data | {"w": whole}, pieces(1000), weighted, parts={"bootstrap": 9, "seed": 4})[1].bootstrap[name]
        for j in range(9):
            w = draws[:, j] * (whole if weighted else 1.0)
            assert found.replicates[j] == pytest.approx(loss(data["y"], data["p"], w), rel=1e-14)
    assert not np.array_equal(
        part.draws(0, 0), run(losses, data, [(0, 9)], parts={"bootstrap": 9, "seed": 5})[1].parts["bootstrap"].draws(0, 0)
    )
    assert not np.array_equal(part.draws(0, 0), part.draws(1, 0)) and not np.array_equal(part.draws(0, 0), part.draws(0, 1))


def test_draws_are_poisson():
    times = drawn(np.arange(2**16, dtype=np.uint16))
    counts = np.bincount(times, minlength=9) / 2**16
    assert counts == pytest.approx(
        [math.exp(-1) / math.factorial(k) for k in range(8)] + [1 - sum(math.exp(-1) / math.factorial(k) for k in range(8))], abs=2**-16
    )
    assert (times.mean(), times.astype(float).var()) == pytest.approx((1, 1), abs=2e-4)


def test_bootstrap_and_normal_intervals_agree(data):
    found = run("log_loss", data, [(0, N)], parts={"bootstrap": 2000, "spread": True})[1]
    normal, bootstrap = found.spread["log_loss"], found.bootstrap["log_loss"]
    assert bootstrap.standard_error == pytest.approx(normal.standard_error, rel=0.1)  # 6 standard deviations of 2,000 replicates
    assert bootstrap.interval == pytest.approx(normal.interval, abs=0.4 * normal.standard_error)


def test_bootstrap_of_nan_and_infinity(data):
    for value, nan, known in ((math.nan, "propagate", False), (math.nan, "skip", True), (0.0, "skip", False)):
        bad = data | {"p": data["p"].copy(), "y": np.where(np.arange(N) == 5, 1, data["y"])}
        bad["p"][5] = value
        found = run("log_loss", bad, pieces(1000), nan=nan, parts={"bootstrap": 5})[1].bootstrap["log_loss"]
        assert math.isnan(found.interval[0]) is not known


def test_bad_requests(data):
    state = fl.State("log_loss")
    for options, text in [
        ({"spread": True, "quantiles": [0.5, 1.1]}, "`quantiles` must be numbers from 0 to 1, got 1.1"),
        ({"spread": True, "confidence": 1}, "`confidence` must be a number above 0 and below 1, got 1"),
        ({"worst": 1.5}, "`worst` must be an integer >= 1, got 1.5"),
        ({"bootstrap": 1}, "`bootstrap` must be an integer >= 2, got 1"),
        ({"bootstrap": 2, "seed": -1}, "`seed` must be an integer >= 0, got -1"),
    ]:
        with pytest.raises(ValueError, match=text):
            fl.Analysis(state, **options)
    for option in ({"spread": True}, {"worst": 3}):
        with pytest.raises(ValueError, match="of losses of single samples; dice are computed from sums"):
            fl.Analysis(fl.State(["mse", "dice"]), **option)
    one = run("log_loss", data, [(0, N)])[1]
    for other in (
        run("brier", data, [(0, N)])[1],
        run("log_loss", data, [(0, N)], parts={"worst": 7})[1],
        run("log_loss", data, [(0, N)], nan="skip")[1],
    ):
        with pytest.raises(ValueError, match="do not merge"):
            one.merge(other)
    with pytest.raises(ValueError, match="do not merge"):
        one.merge(run("log_loss", data, [(0, N)], parts=PARTS | {"worst": 8})[1])
    with pytest.raises(TypeError, match="only another Analysis"):
        one.merge(state)


@pytest.mark.parametrize("weighted", [False, True])
def test_an_analysis_travels_between_processes(data, weighted):
    losses = ["log_loss", "rmse"]
    one, other = (run(losses, data, part, weighted)[1] for part in (pieces(500)[:2], pieces(500)[2:]))
    merged = pickle.loads(pickle.dumps(other)).merge(pickle.loads(pickle.dumps(one)))
    assert told(merged) == told(run(losses, data, [(0, N)], weighted)[1])


@pytest.mark.parametrize("nan", ["propagate", "skip"])
def test_codes_of_any_integers_and_one_for_each_row(nan):
    """The kernels read them as intp, as many as there are rows."""
    y, codes = np.arange(600.0), np.arange(600) % 5

    def found(codes):
        state = fl.State("mse", nan=nan)
        analysis = fl.Analysis(state, segments=9)
        state.update(y, y / 2)
        return repr(analysis.update(y, y / 2, keys=KEYS, codes=codes).segments)

    for given in (codes.astype(np.int8), codes.astype(np.uint64), codes.astype(">i4"), np.repeat(codes, 2)[::2], codes.tolist()):
        assert found(given) == found(codes)
    for wrong in (codes[:-1], np.append(codes, 0), codes.astype(float), codes[:, None], codes == 1, None):
        with pytest.raises(ValueError, match="`codes` must be 600 integers, one for each row"):
            found(wrong)


@pytest.mark.parametrize("form", ["every other", "backwards", "packed", "big-endian"])
def test_weights_of_segments_in_any_layout(form):
    rng = np.random.default_rng(8)
    n = 5000
    weight = rng.random(n)
    records = np.zeros(n, [("a", "i1"), ("w", "f8")])
    records["w"] = weight
    given = {
        "every other": np.stack([weight, -weight], axis=1)[:, 0], "backwards": weight[::-1].copy()[::-1], "packed": records["w"],
        "big-endian": weight.astype(">f8"),
    }[form]  # fmt: skip
    assert np.array_equal(given, weight) and (form == "big-endian" or not (given.flags.c_contiguous and given.flags.aligned))
    y, p, codes = (rng.random(n) < 0.5).astype(np.int8), rng.random(n, np.float32) * 0.9 + 0.05, rng.integers(0, 3, n)

    def found(weight):
        state = fl.State(["log_loss", "brier"])
        analysis = fl.Analysis(state, segments=3, bootstrap=20, worst=5)
        state.update(y, p, sample_weight=weight)
        analysis.update(y, p, sample_weight=weight, keys=["a", "b", "c"], codes=codes, file=0, row=0, position=0)
        return repr((analysis.segments, analysis.bootstrap, analysis.worst))

    assert found(given) == found(weight)
