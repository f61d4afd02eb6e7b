"""The cost of arrays that fit the cache, and of arrays that do not: ours and every rival of every loss."""

import pytest

from benchmarks import LEFT_OUT, SMOKE
from fastloss.measuring import cases, rivals

SIZES = (64,) if SMOKE else (2**16, 2**24)
TABLE = rivals.table("cost")
CANDIDATES = [(loss, rival) for loss, row in TABLE.items() for rival in ("fastloss", *row) if rival not in LEFT_OUT]


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("dtype", cases.DTYPES)
@pytest.mark.parametrize(("loss", "rival"), CANDIDATES)
def test_cost(compare, loss, dtype, n, rival):
    compare("cost", loss, rival, dtype, n)
