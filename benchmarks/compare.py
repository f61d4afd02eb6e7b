"""One comparison: ours, verified rivals and the yardsticks, interleaved in the same rounds."""

import numpy as np

from benchmarks import cases, ours, rivals, verify
from fastloss.measuring import roofline
from fastloss.measuring.timing import side_by_side


class Comparison:
    """Timings by candidate: "fastloss", packages, and the yardsticks' own names."""

    def __init__(self, loss, kind, dtype, n, timings):
        self.loss, self.kind, self.dtype, self.n, self.timings = loss, kind, dtype, n, timings

    @property
    def seconds(self):
        """Ours, for one call."""
        return self.timings["fastloss"].minimum

    def times_ours(self, package):
        """How many times our time a rival takes; None where it was not timed."""
        return self.timings[package].minimum / self.seconds if package in self.timings else None

    def over(self, kind, of="minimum"):
        """Our time over the faster yardstick's ("read" or "write"): of minima, or of medians.

        Where other machines share the memory, its speed comes in bursts that a short yardstick fits in and a longer call does not:
        minima then flatter the yardstick. Where the two ratios differ much, the machine was not quiet.
        """
        return getattr(self.timings["fastloss"], of) / getattr(roofline.fastest(self.timings, kind)[1], of)

    def as_dict(self):
        return {
            "loss": self.loss, "kind": self.kind, "dtype": self.dtype, "n": self.n,
            "timings": {name: timing.as_dict() for name, timing in self.timings.items()},
        }  # fmt: skip


def compare(loss, kind="cost", dtype="float32", n=2**25, packages=None, seconds=5.0, yardsticks=True):
    """Time ours, the rivals (all that there are, or those of ``packages``, each of which must exist if installed) and the yardsticks."""
    y, p = cases.data(loss, n, dtype)
    row = rivals.table(kind).get(loss, {})
    wanted = list(row) if packages is None else [package for package in packages if package not in rivals.missing()]
    mine = ours.PREPARE[kind](loss, y, p)
    candidates = {"fastloss": mine}
    for package in wanted:
        candidates[package] = row[package](y, p)
        verify.check(kind, loss, package, y, p, candidates[package](), mine())
    verify.check_threads()
    if yardsticks:
        candidates |= roofline.read([y, p])
        if kind == "cost_gradient":
            candidates |= roofline.read_write([y, p], [np.empty_like(p)])
    return Comparison(loss, kind, dtype, n, side_by_side(candidates, seconds=seconds))


def compare_weighted(loss, dtype="float32", n=2**25, seconds=3.0):
    """The weighted cost beside a bare read of the three arrays."""
    y, p = cases.data(loss, n, dtype)
    w = cases.weights(n, dtype)
    candidates = {"fastloss": ours.weighted_cost(loss, y, p, w), **roofline.read([y, p, w])}
    verify.check_threads()
    return Comparison(loss, "weighted cost", dtype, n, side_by_side(candidates, seconds=seconds))


def compare_outputs(loss, method="loss_gradient", dtype="float32", n=2**25, seconds=3.0):
    """Per-sample outputs into buffers beside a bare read and write of as much: one or two outputs."""
    y, p = cases.data(loss, n, dtype)
    buffers = [np.empty_like(p) for _ in method.split("_")]
    candidates = {"fastloss": ours.outputs(loss, method, y, p), **roofline.read_write([y, p], buffers)}
    verify.check_threads()
    return Comparison(loss, method, dtype, n, side_by_side(candidates, seconds=seconds))
