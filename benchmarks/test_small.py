"""The cost of a few samples, where all is overhead: a whole call from Python, ours and every rival's."""

import pytest

from benchmarks import SMOKE
from benchmarks.test_cost import CANDIDATES
from fastloss.measuring import cases

SIZES = (1,) if SMOKE else (1, 10, 100, 1000)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("dtype", cases.DTYPES)
@pytest.mark.parametrize(("loss", "rival"), CANDIDATES)
def test_small(compare, loss, dtype, n, rival):
    compare("cost", loss, rival, dtype, n)
