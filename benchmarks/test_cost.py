"""The cost of arrays that fit the cache, and of arrays that do not: ours and every rival of every loss."""

import pytest

from benchmarks import SMOKE, cases, rivals

SIZES = (64,) if SMOKE else (2**16, 2**24)
TABLE = rivals.table("cost")
CANDIDATES = [(loss, package) for loss, row in TABLE.items() for package in ("fastloss", *row)]


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("dtype", cases.DTYPES)
@pytest.mark.parametrize(("loss", "package"), CANDIDATES)
def test_cost(compare, loss, dtype, n, package):
    compare("cost", loss, package, dtype, n)
