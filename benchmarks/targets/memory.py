"""Targets at the speed of memory: costs and outputs beside the roofline, half precision, several losses in one pass, subnormals."""

from functools import partial

import numpy as np

import fastloss as fl
from benchmarks.targets.rows import Row, arithmetic, kernel_losses, with_outputs, worst
from fastloss.losses import REGISTRY
from fastloss.losses.spec import REAL
from fastloss.measuring import cases, ours
from fastloss.measuring.compare import compare_weighted
from fastloss.measuring.timing import side_by_side


def _speed(comparison, kind="read"):
    return f"{comparison.n / comparison.seconds / 1e9:.2f} G samples/s; ratio of medians {comparison.over(kind, 'median'):.2f}"


def cost(bench):
    """Costs over the bare read."""
    limits = dict.fromkeys(arithmetic(), (1.08, 1.08)) | dict.fromkeys(kernel_losses(1), (1.3, 1.3)) | {"logistic": (1.4, 1.5)}
    for loss, of in limits.items():
        for dtype, limit in zip(cases.DTYPES, of, strict=True):
            found = bench.compare(loss, dtype=dtype)
            yield Row(f"{loss} cost, {dtype}: ours / bare read", found.over("read"), "<=", limit, note=_speed(found))
    for loss in ("squared_error", "logistic"):
        found = compare_weighted(loss, n=bench.n, seconds=bench.seconds)
        bench.comparisons.append(found)
        yield Row(f"{loss} weighted cost: ours / bare read of three arrays", found.over("read"), note=_speed(found))


def outputs(bench):
    """Loss and gradient into buffers, over the bare read of two arrays and write of two."""
    for loss, limit in {**dict.fromkeys(with_outputs(arithmetic()), 1.2), "logistic": 1.5}.items():
        found = bench.compare(loss, "loss_gradient")
        yield Row(f"{loss} loss and gradient: ours / read and write", found.over("write"), "<=", limit, note=_speed(found, "write"))


def half(bench):
    """Samples per second of half precision over those of float32."""
    found = {dtype: [] for dtype in cases.HALF_DTYPES}
    for loss in arithmetic():
        candidates = {dtype: ours.prepare("cost", loss, *cases.data(loss, bench.n, dtype)) for dtype in ("float32", *found)}
        timings = side_by_side(candidates, seconds=bench.seconds)
        for dtype, ratios in found.items():
            ratios.append((timings[dtype].minimum / timings["float32"].minimum, loss))
    for dtype, ratios in found.items():
        (value, loss), _ = worst(ratios)
        others = ", ".join(f"{name} {1.0 / ratio:.2f}" for ratio, name in sorted(ratios, reverse=True)[1:4])
        yield Row(f"{dtype}: samples/s over float32's, worst arithmetic cost", 1.0 / value, ">=", 1.5, note=f"{loss}; then {others}")


FIVE = ("squared_error", "absolute_error", "huber", "pinball:quantile=0.9", "logistic")


def several(bench):
    """Five losses in one pass over the slowest of them alone: labels of 0 and 1 are allowed to all."""
    y, p = cases.data("logistic", bench.n, "float32")
    alone = {spec: partial(fl.get(spec), y, p) for spec in FIVE}
    timings = side_by_side({"together": partial(fl.evaluate, FIVE, y, p), **alone}, seconds=2 * bench.seconds)
    slowest = max(FIVE, key=lambda spec: timings[spec].minimum)
    value = timings["together"].minimum / timings[slowest].minimum
    sums = timings["together"].minimum / sum(timings[spec].minimum for spec in FIVE)
    note = f"the slowest is {slowest}; over the sum of all five {sums:.2f}"
    yield Row("five losses by evaluate / the slowest alone", value, "<=", 2.0, note=note)


def _subnormal(n, dtype, share):
    """(y, p) of which a share, spread evenly, are subnormal, and so are their errors."""
    rng, real = np.random.default_rng(0), np.dtype(dtype).type
    y, p = rng.standard_normal(n, dtype=dtype), rng.standard_normal(n, dtype=dtype)
    tiny = rng.random(n, dtype=np.float32) < share
    for array in (y, p):
        np.multiply(array, real({"float32": 2.0**-130, "float64": 2.0**-1040}[dtype]), out=array, where=tiny)
    return y, p


def subnormal(bench):
    """Data of which half, or all, is subnormal, over normal data."""
    domains = {name: definition.target is REAL for name, definition in REGISTRY.items() if definition.prediction is REAL}
    losses = [name for name, real in domains.items() if real] + ["logistic"]
    for dtype in cases.DTYPES:
        ratios = []
        data = {share: _subnormal(bench.n // 4, dtype, share) for share in (0.0, 0.5, 1.0)}
        for loss in losses:
            given = data if loss != "logistic" else {share: ((y > 0).astype(dtype), p) for share, (y, p) in data.items()}
            timings = side_by_side(
                {share: partial(cases.configured(loss), y, p) for share, (y, p) in given.items()}, seconds=bench.seconds / 4
            )  # fmt: skip
            ratios += [(timings[share].minimum / timings[0.0].minimum, f"{loss} ({share:.0%})") for share in (0.5, 1.0)]
        (value, _), note = worst(ratios)
        yield Row(f"{dtype}: subnormal data / normal data, worst cost of {len(losses)}", value, "<=", 3.0, note=note)


def exact(bench):
    """The hook for what the exact sums cost."""
    yield Row(
        "exact sum / plain summation of the same tile values", None,
        note="needs kernels that add plainly, and there are none: timing another library's sum would time another loop",
    )  # fmt: skip
