"""Sums by group on each backend against fractions; codes from tables against NumPy."""

import pickle
from fractions import Fraction

import numpy as np
import pytest

import fastloss as fl
from fastloss.engine import backends, grouped
from fastloss.engine.exact import ONE
from fastloss.engine.grouped import Grouped, InNumPy, look_up
from fastloss.engine.samples import Sample

MODULE = getattr(backends.current(), "module", None)
MAKERS = {"numpy": InNumPy} | ({} if MODULE is None else {"compiled": MODULE.Groups})
EACH = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
SCALES = [(-3, 4), (-1074, 1023), (700, 1000), (-1074, -900), (-40, 40)]
GROUPS = 11


@pytest.fixture
def on(make, monkeypatch):
    monkeypatch.setattr(grouped, "new", make)


def fractions(values, chosen):
    return sum(map(Fraction, values[chosen].astype(float).tolist()), Fraction(0))


def rows(scale, n, dtype, seed=0):
    rng = np.random.default_rng(seed)
    with np.errstate(over="ignore", under="ignore"):
        losses = np.ldexp(rng.uniform(-1, 1, n), rng.integers(*scale, n)).astype(dtype)
    losses[~np.isfinite(losses)] = 1
    return losses, rng.integers(0, GROUPS, n), rng.uniform(0, 2, n) * 2.0 ** rng.integers(-30, 10, n)


@EACH
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("n", [1, 511, 513, 140_000])
def test_sums_are_exact_whatever_the_split(on, scale, n, dtype):
    losses, codes, weights = rows(scale, n, dtype)
    ids = np.random.default_rng(1).permutation(40)[:GROUPS]
    for weighted, pieces, threads in ((False, 1, 1), (False, 3, 2), (True, 3, 2)):
        sums = Grouped(False)
        for part in np.array_split(np.arange(n), pieces):
            sample = Sample(losses[part], None, weights[part] if weighted else None)  # terms are the losses, whatever they count
            sums.add(sample, codes[part], ids, 40, threads)
        tallies = sums.tallies()
        assert set(tallies) == {int(ids[k]) for k in np.unique(codes)}
        for k in np.unique(codes).tolist():
            tally, own = tallies[int(ids[k])], codes == k
            assert tally.n == own.sum() and tally.n_nan == tally.n_positive == tally.n_negative == 0
            assert Fraction(tally.total, ONE) == fractions(losses, own)
            assert Fraction(tally.weight, ONE) == (fractions(weights, own) if weighted else own.sum())


@EACH
@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_specials_and_products(on, skip, weighted):
    losses, codes, weights = rows((-8, 8), 30_000, np.float32)
    rng = np.random.default_rng(4)
    losses[rng.integers(0, len(losses), 50)] = np.nan
    losses[rng.integers(0, len(losses), 50)] = np.inf
    losses[7_000:7_600] = -np.inf
    sums = Grouped(skip)
    sums.add(Sample(losses, weights if weighted else None), codes, np.arange(GROUPS), GROUPS, 2)
    terms = losses * weights if weighted else losses.astype(float)
    for k, tally in sums.tallies().items():
        own = codes == k
        assert (tally.n, tally.n_nan) == (own.sum(), np.isnan(terms[own]).sum())
        assert (tally.n_positive, tally.n_negative) == ((terms[own] == np.inf).sum(), (terms[own] == -np.inf).sum())
        assert Fraction(tally.total, ONE) == fractions(terms, own & np.isfinite(terms))
        counted = own & ~(np.isnan(terms) & skip)
        assert Fraction(tally.weight, ONE) == (fractions(weights, counted) if weighted else counted.sum())


@EACH
def test_growth_merging_and_pickling(on):
    losses, codes, weights = rows((-5, 5), 4_000, np.float64)
    whole, parts = Grouped(False), [Grouped(False) for _ in range(3)]
    for i, part in enumerate(np.array_split(np.arange(len(losses)), 9)):
        weight = None if i % 2 else weights[part]  # some chunks have weights, others have none
        for sums, shift in ((whole, 0), (parts[i % 3], 5)):
            ids = np.arange(GROUPS) * 10**i % 50_021 + shift
            sums.add(Sample(losses[part], weight), codes[part], ids, int(ids.max()) + 1, 2)
    merged = Grouped(False)
    for part in parts:
        merged.merge(pickle.loads(pickle.dumps(part)), {i + 5: i for i in range(60_000)})
    found, expected = ({i: (t.n, t.total, t.weight) for i, t in sums.tallies().items()} for sums in (merged, whole))
    assert found == expected and len(found) > GROUPS


@EACH
@pytest.mark.parametrize("wrong", [-1, 3, 2**40])
def test_codes_that_are_none_are_refused(make, wrong):
    codes = np.zeros(2000, np.intp)
    codes[1500] = wrong
    with pytest.raises(IndexError, match="codes must be from 0 to 2"):
        make(False).add(np.ones(2000, np.float32), None, None, codes, np.arange(3), 3, 1)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("dtype", [*"bhilqBHILQ", ">i4", ">u8"])
@pytest.mark.parametrize("base", [0, -100, 50, -(2**62)])
def test_codes_come_from_a_table(compiled, dtype, base, monkeypatch):
    if not compiled:
        monkeypatch.setattr(backends, "current", lambda: None)
    rng, info = np.random.default_rng(3), np.iinfo(dtype)
    ends = [info.min, info.max, 0, *(value for value in (-100, 99, 100, 1000, base, base + 199) if info.min <= value <= info.max)]
    low, high = max(info.min, min(base, 0)), min(info.max, max(base, 0) + 300)
    values = np.array([*ends, *rng.integers(low, high, 40_000, np.uint64 if low >= 0 else np.int64, endpoint=True).tolist()], dtype)
    table = rng.permutation(200).astype(np.intp)
    for chosen in (values, values[(values.astype(object) >= base) & (values.astype(object) < base + 200)], values[:0]):
        codes = np.full(len(chosen), 77, np.intp)
        expected = [int(table[v - base]) if 0 <= v - base < 200 else -1 for v in map(int, chosen)]
        assert look_up(chosen, base, table, codes) is (-1 in expected)
        assert codes.tolist() == expected


def test_segments_of_a_key_that_no_row_has():
    state = fl.State("mse")
    analysis = fl.Analysis(state, segments=2)
    keys, y, p = [("a",), ("b",), ("c",)], np.zeros(4), np.arange(4.0)
    state.update(y, p)
    analysis.update(y, p, keys=keys, codes=np.array([0, 2, 2, 0]))
    keys.append(("d",))
    state.update(y, p)
    analysis.update(y, p, keys=keys, codes=np.array([0, 0, 2, 0]))
    assert [(s.values, s.n, s["mse"]) for s in analysis.segments] == [(("a",), 5, 19 / 5), (("c",), 3, 3.0)]
