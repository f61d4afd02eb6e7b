"""Outputs beside the rivals that have them; and ours, into buffers, of every loss."""

import numpy as np
import pytest

from benchmarks import LEFT_OUT, SMOKE
from fastloss.losses import REGISTRY
from fastloss.measuring import cases, ours, rivals, verify

SIZES = (64,) if SMOKE else (2**16, 2**24)
OUTPUTS = ("cost_gradient", "loss", "gradient", "loss_gradient", "gradient_hessian")
CANDIDATES = [
    (output, loss, rival) for output in OUTPUTS for loss, row in rivals.table(output).items() for rival in ("fastloss", *row)
    if rival not in LEFT_OUT
]  # fmt: skip
PER_SAMPLE = [name for name, definition in REGISTRY.items() if not definition.root]
METHODS = rivals.OUTPUTS[2:]


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("dtype", cases.DTYPES)
@pytest.mark.parametrize(("output", "loss", "rival"), CANDIDATES)
def test_outputs(compare, output, loss, dtype, n, rival):
    compare(output, loss, rival, dtype, n)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("dtype", cases.DTYPES)
@pytest.mark.parametrize("loss", PER_SAMPLE)
@pytest.mark.parametrize("method", METHODS)
def test_per_sample(benchmark, run, data, loss, method, dtype, n):
    benchmark.group = f"per sample {loss} {dtype} n={n}"
    y, p = data(loss, n, dtype)
    call = ours.prepare(method, loss, y, p)
    results = call()
    parts = dict(zip(method.split("_"), results if isinstance(results, tuple) else (results,), strict=True))
    verify.check_per_sample(loss, parts, y, p)
    assert all(array.dtype == np.dtype(dtype) and array.shape == (n,) for array in parts.values())
    run(call)
