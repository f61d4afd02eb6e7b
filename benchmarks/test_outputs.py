"""Cost and gradient together, beside the rivals that have it; and our per-sample outputs, into buffers, of every loss."""

import numpy as np
import pytest

from benchmarks import SMOKE, cases, ours, rivals, verify
from fastloss.losses import REGISTRY

SIZES = (64,) if SMOKE else (2**16, 2**24)
TABLE = rivals.table("cost_gradient")
CANDIDATES = [(loss, package) for loss, row in TABLE.items() for package in ("fastloss", *row)]
PER_SAMPLE = [name for name, definition in REGISTRY.items() if not definition.root]
METHODS = ("loss", "gradient", "loss_gradient", "gradient_hessian", "loss_gradient_hessian")


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("dtype", cases.DTYPES)
@pytest.mark.parametrize(("loss", "package"), CANDIDATES)
def test_cost_gradient(compare, loss, dtype, n, package):
    compare("cost_gradient", loss, package, dtype, n)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("dtype", cases.DTYPES)
@pytest.mark.parametrize("loss", PER_SAMPLE)
@pytest.mark.parametrize("method", METHODS)
def test_per_sample(benchmark, run, data, loss, method, dtype, n):
    benchmark.group = f"per sample {loss} {dtype} n={n}"
    y, p = data(loss, n, dtype)
    call = ours.outputs(loss, method, y, p)
    results = call()
    parts = dict(zip(method.split("_"), results if isinstance(results, tuple) else (results,), strict=True))
    verify.check_per_sample(loss, parts, y, p)
    assert all(array.dtype == np.dtype(dtype) and array.shape == (n,) for array in parts.values())
    run(call)
