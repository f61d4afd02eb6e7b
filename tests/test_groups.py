"""Exact sums by group, against fractions."""

from fractions import Fraction

import numpy as np
import pytest

from fastloss.engine.exact import ONE
from fastloss.engine.groups import Counts, GroupSums

SCALES = [(-3, 4), (-1074, 1023), (800, 1024), (-1074, -1000), (-40, 40)]


def exact(values):
    return sum(map(Fraction, values.tolist()), Fraction(0))


def numbers(rng, n, scale):
    return np.ldexp(rng.uniform(-1, 1, n), rng.integers(*scale, n))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("n", [1, 7, 300, 70_000])
def test_sums_are_exact_whatever_the_split(scale, n):
    rng = np.random.default_rng(n)
    values, groups = numbers(rng, n, scale), 11
    codes, ids = rng.integers(0, groups, n), rng.permutation(40)[:groups].astype(np.intp)
    expected = {int(ids[k]): exact(values[codes == k]) for k in range(groups)}
    for pieces in (1, 3):
        sums = GroupSums()
        for rows in np.array_split(rng.permutation(n), pieces):
            counts = np.bincount(codes[rows], minlength=groups)
            here = np.flatnonzero(counts)
            sums.add(values[rows], codes[rows], ids[here], max(1, counts.max()), here, groups)
        assert {i: Fraction(sums.totals().get(i, 0), ONE) for i in expected} == expected


@pytest.mark.parametrize("scale", SCALES)
def test_one_group_and_multiples(scale):
    rng = np.random.default_rng(5)
    values, times = numbers(rng, 1024, scale), rng.integers(0, 9, (1024, 6))
    one, many = GroupSums(), GroupSums()
    one.add(values.copy(), None, np.zeros(1, np.intp), len(values))
    assert Fraction(one.totals().get(0, 0), ONE) == exact(values)
    many.add(values.copy(), times.astype(float), np.arange(6), 8 * len(values))
    for j in range(6):
        expected = sum((Fraction(v) * k for v, k in zip(values.tolist(), times[:, j].tolist(), strict=True)), Fraction(0))
        assert Fraction(many.totals().get(j, 0), ONE) == expected


def test_many_additions_do_not_overflow():
    sums, values = GroupSums(), np.full(3, np.nextafter(1.0, 2.0))
    for i in range(1500):
        sums.add(values * 2.0 ** (i % 50), np.array([0, 1, 1]), np.arange(2), 2)
    expected = sum(Fraction(values[0]) * 2 ** (i % 50) for i in range(1500))
    assert [Fraction(sums.totals()[i], ONE) for i in (0, 1)] == [expected, 2 * expected]


def test_counts_grow_and_merge_by_number():
    mine, other = Counts(), Counts()
    mine.add(np.array([2, 3]), np.array([0, 5]))
    other.add(np.array([7]), np.array([9]))
    mine.merge(other, {9: 5})
    assert [mine[i] for i in (0, 1, 5, 99)] == [2, 0, 10, 0]
