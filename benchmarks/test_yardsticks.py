"""The yardsticks do read and write every byte: otherwise every ratio to them would be flattering them."""

import numpy as np
import pytest

from benchmarks import SMOKE
from fastloss.measuring import roofline, verify

N = 2**12 if SMOKE else 2**24


def size(name):
    """One thread is timed alone for small arrays."""
    return 2**12 if name.endswith("on one thread") else N


@pytest.mark.parametrize("count", (2, 3))
@pytest.mark.parametrize("name", ("read together", "read in turn", "read on one thread"))
def test_read(benchmark, run, count, name):
    verify.check_threads()
    n = size(name)
    benchmark.group = f"bare read of {count} arrays, float32 n={n}"
    arrays = [np.zeros(n, np.float32) for _ in range(count)]
    call = roofline.read(arrays)[name]
    for array in arrays:
        for i in (0, 1, n // 2 - 1, n // 2, n - 1):
            array.view(np.uint32)[i] = 1
            assert call() == 1 << 32 * (i % 2), f"{name} does not see element {i}"
            array[i] = 0.0
    run(call)


@pytest.mark.parametrize("count", (1, 2, 3))
@pytest.mark.parametrize("name", ("write stores", "write copies", "write on one thread"))
def test_read_write(benchmark, run, count, name):
    n = size(name)
    benchmark.group = f"bare read of 2 arrays and write of {count}, float32 n={n}"
    rng = np.random.default_rng(0)
    arrays = [rng.random(n, dtype=np.float32) for _ in range(2)]
    outputs = [np.zeros(n, np.float32) for _ in range(count)]
    call = roofline.read_write(arrays, outputs)[name]
    call()
    words = [array.view(np.uint32) for array in arrays]
    third = words[0] if name == "write copies" else words[0] | words[1]
    one = [words[0]] if name == "write copies" else [words[0] | words[1]]
    expected = one if count == 1 else [*words, third][:count]
    for output, bits in zip(outputs, expected, strict=True):
        np.testing.assert_array_equal(output.view(np.uint32), bits)
    run(call)
