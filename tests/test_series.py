"""Costs along the rows, standard errors of segments, and histograms in bins: exact, and the same for any split."""

import math
import pickle

import numpy as np
import pytest

import fastloss as fl
from fastloss.engine.segments import SegmentCost
from fastloss.engine.series import Series

LOSSES = ["log_loss", "brier", "rmse"]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(11)
    n = 5_000
    p = rng.random(n)
    y = (rng.random(n) < p).astype(np.int8)
    return y, p, rng.integers(0, 7, n) / 4, rng.integers(0, 9, n)


def told(parts):
    fields = SegmentCost.__slots__
    return [(getattr(part, "start", None), part.n, [[getattr(r, field) for field in fields] for r in part.results]) for part in parts]


def analysed(data, cuts, order=None, weighted=True, nan="propagate", **asked):
    """An Analysis of the rows between cuts, each stretch in an Analysis of its own, merged in ``order``."""
    y, p, w, g = data
    parts, keys = [], [(i,) for i in range(9)]
    for start, stop in zip([0, *cuts], [*cuts, len(y)], strict=True):
        state = fl.State(LOSSES, nan=nan)
        made, here = fl.Analysis(state, **asked), slice(start, stop)
        weights = w[here] if weighted else None
        state.update(y[here], p[here], weights)
        parts.append(made.update(y[here], p[here], weights, keys=keys, codes=g[here].astype(np.intp), row=start, position=start))
    first, *others = [parts[i] for i in (range(len(parts)) if order is None else order)]
    for other in others:
        first.merge(other)
    return first


@pytest.mark.parametrize("weighted", [False, True])
def test_any_split_and_order_give_the_same_series_and_errors(data, weighted):
    asked = {"series": True, "segments": 20, "spread": True, "weighted": weighted}
    whole = analysed(data, [], **asked)
    rng = np.random.default_rng(3)
    for cuts in ([1], [4999], [17, 512, 513, 1024], sorted(rng.choice(np.arange(1, 5000), 40, replace=False).tolist())):
        split = analysed(data, cuts, rng.permutation(len(cuts) + 1).tolist(), **asked)
        assert told(split.series) == told(whole.series)
        assert told(split.segments) == told(whole.segments)
        assert told(split.stretches(60)) == told(whole.stretches(60))


def test_stretches_are_as_long_as_they_must_be_and_cover_all(data):
    for n, width in ((1, 1), (512, 1), (513, 2), (1024, 2), (1025, 4), (5000, 16)):
        found = analysed([part[:n] for part in data], [], series=True).series
        assert [(part.start, part.stop) for part in found] == [(i, min(i + width, n)) for i in range(0, n, width)]
        assert sum(part.n for part in found) == n
    found = analysed(data, [], series=True).stretches(60)
    assert len(found) == 53 and found[0].stop == 96 and found[-1].stop == 5000


@pytest.mark.parametrize("weighted", [False, True])
def test_stretches_and_segments_are_what_their_rows_alone_give(data, weighted):
    y, p, w, g = data
    made = analysed(data, [999], series=True, segments=9, spread=True, weighted=weighted)
    for part in made.series[::37]:
        rows = slice(part.start, part.stop)
        assert {r.name: r.cost for r in part.results} == fl.State(LOSSES).update(y[rows], p[rows], w[rows] if weighted else None).compute()
    for segment in made.segments:
        rows = g == segment.values[0]
        alone = analysed([part[rows] for part in data], [], spread=True, weighted=weighted).spread
        for result in segment.results:
            expected = alone[result.name]
            assert result.standard_error == pytest.approx(expected.standard_error, rel=1e-14)
            assert result.interval == pytest.approx(expected.interval, rel=1e-14)


@pytest.mark.parametrize("nan", ["propagate", "skip"])
def test_errors_of_nan_infinity_and_single_rows(data, nan):
    y, p, w, g = (part[:40].copy() for part in data)
    p[3], g[:] = np.nan, 0
    g[5], g[6:9] = 1, 2
    found = {s.values[0]: s.results[0] for s in analysed((y, p, w + 0.25, g), [11], nan=nan, segments=9, spread=True).segments}
    alone = analysed([part[g == 0] for part in (y, p, w + 0.25, g)], [], nan=nan, spread=True).spread["log_loss"]
    assert found[0].standard_error == pytest.approx(alone.standard_error, rel=1e-14, nan_ok=True)
    assert math.isnan(found[0].standard_error) == (nan == "propagate")
    assert found[1].standard_error is None and found[1].interval is None
    assert found[2].interval[0] < found[2].cost < found[2].interval[1]
    state = fl.State("mse")
    made = fl.Analysis(state, segments=2, spread=True)
    far = np.array([1e200, -1e200, 1e154, 1e200]), np.array([0.0, 0.0, 0.0, np.inf])
    state.update(*far)
    made.update(*far, keys=[(0,), (1,)], codes=np.array([0, 0, 0, 1]))
    assert [s.results[0].standard_error for s in made.segments] == [None, None], "squares of infinite losses are left out"


def test_a_series_travels_between_processes(data):
    made = analysed(data, [77], series=True)
    assert told(pickle.loads(pickle.dumps(made)).series) == told(made.series)


def test_segments_without_spread_have_no_errors(data):
    found = analysed(data, [], segments=9).segments
    assert all(r.standard_error is None and r.interval is None for s in found for r in s.results)


def test_series_that_do_not_merge():
    (mse,) = fl.State("mse")._computed
    with pytest.raises(TypeError, match="another Series, got int"):
        Series([mse]).merge(3)
    with pytest.raises(ValueError, match="512 and 8"):
        Series([mse]).merge(Series([mse], most=8))
    with pytest.raises(ValueError, match="intervals do not merge"):
        Series([mse]).merge(Series([mse], confidence=0.9))


def histogram(losses):
    state = fl.State("mse")
    made = fl.Analysis(state, spread=True)
    y, p = np.sqrt(losses), np.zeros(len(losses))
    state.update(y, p)
    return made.update(y, p).spread["mse"].histogram


def test_bins_hold_what_numpy_counts_between_their_edges():
    rng = np.random.default_rng(5)
    roots = np.concatenate([np.exp(rng.normal(0, 3, 4000)), np.zeros(100)])
    losses = (roots * roots).astype(float)
    found = histogram(losses)
    exact = np.sqrt(losses) ** 2  # as the loss computes it
    for edges in ([1.0], [0.0, 0.3, 1.0, 50.0], np.geomspace(1e-6, 1e6, 40), [1.0, 1.001, 1.002]):
        bins = found.bins(edges)
        assert bins.low[0] == -np.inf and bins.high[-1] == np.inf and (bins.low[1:] == bins.high[:-1]).all()
        inner = bins.low[1:]
        assert bins.count.tolist() == np.diff([0, *np.searchsorted(np.sort(exact), inner), len(exact)]).tolist()
        assert bins.weight.tolist() == bins.count.tolist()
        near = np.unique(edges)
        assert all(((near - edge) <= near / 64).any() for edge in inner) and len(inner) <= len(near)
    assert found.bins([1.0, 1.001, 1.002]).count.size == 2
    for bad in ([], [2.0, 1.0], [math.nan], [[1.0]]):
        with pytest.raises(ValueError, match="`edges` must be"):
            found.bins(bad)


def test_bins_of_negative_losses():
    state = fl.State("gamma_loss")
    made = fl.Analysis(state, spread=True)
    y, p = np.full(200, 0.01), np.linspace(-3, 3, 200)
    state.update(y, p)
    bins = made.update(y, p).spread["gamma_loss"].histogram.bins([-1.0, 0.0, 1.0])
    losses = fl.GammaLoss().loss(y, p)
    low, _, high = bins.low[1:]
    assert bins.count.tolist() == [int(c) for c in (
        (losses <= low).sum(), ((losses > low) & (losses < 0)).sum(), ((losses >= 0) & (losses < high)).sum(), (losses >= high).sum(),
    )]  # fmt: skip


def test_the_ecdf_is_within_a_bucket_of_the_true_one():
    losses = np.random.default_rng(1).lognormal(0, 2, 1000)
    x, share = histogram(losses).ecdf()
    exact = np.sort(np.sqrt(losses) ** 2)
    assert share[-1] == 1 and (np.diff(share) > 0).all()
    for at, here in zip(x.tolist(), share.tolist(), strict=True):
        assert (exact < at).mean() == pytest.approx(here, abs=1e-12)


def test_a_series_is_among_the_bytes_of_an_analysis(data):
    """That of a report, too: the same bytes for any split, and back."""
    asked = {"series": True, "confidence": 0.9}
    whole, parts = analysed(data, [], **asked), analysed(data, [700, 1_111], (2, 0, 1), **asked)
    kept = whole.to_bytes()
    assert parts.to_bytes() == kept
    back = fl.Analysis.from_bytes(kept)
    assert (told(back.series), back.to_bytes(), back.asked) == (told(whole.series), kept, asked)
    fields = whole.parts["series"].fields()
    for name, value in (("width", 1), ("stop", 3), ("stop", -1), ("stop", 1 << 40)):
        with pytest.raises(ValueError, match="stretch|count"):
            Series(whole.parts["series"].sums.computed, confidence=0.9).take(fields | {name: value})
