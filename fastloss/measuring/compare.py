"""One comparison: ours, verified rivals and the yardsticks, interleaved in the same rounds."""

import numpy as np

from fastloss.losses import OWN, REGISTRY, ROW_REGISTRY, find
from fastloss.measuring import LARGEST, cases, ours, rivals, roofline, verify
from fastloss.measuring.timing import Timing, side_by_side


class Comparison:
    """One loss, output, dtype and n.

    timings  {candidate: Timing}: "fastloss", rivals, and the yardsticks' own names
    absent   {rival: why it was not timed}
    classes  of losses of rows, of which there are n; else None
    """

    def __init__(self, loss, output, dtype, n, timings, absent=None, classes=None):
        self.loss, self.output, self.dtype, self.n, self.timings, self.absent = loss, output, dtype, n, timings, absent or {}
        self.classes = classes

    @property
    def case(self):
        """(loss, output, dtype, n), and with losses of rows the number of classes."""
        return (self.loss, self.output, self.dtype, self.n, *(() if self.classes is None else (self.classes,)))

    @property
    def seconds(self):
        """Ours, for one call."""
        return self.timings["fastloss"].minimum

    @property
    def roofline(self):
        """Seconds of the yardstick that this output is held against, or None if none was timed."""
        reads = self.output.endswith("cost") or (self.output == "loss" and self.classes is not None)  # of a row: one number
        kind = "read " if reads else "write "
        found = [timing.minimum for name, timing in self.timings.items() if name.startswith(kind)]
        return min(found, default=None)

    def times_ours(self, rival):
        """How many times our time a rival takes; None where it was not timed."""
        return self.timings[rival].minimum / self.seconds if rival in self.timings else None

    def over(self, kind, of="minimum"):
        """Our time over the faster yardstick's ("read" or "write"): of minima, or of medians.

        Where other machines share the memory, its speed comes in bursts that a short yardstick fits in and a longer call does not:
        minima then flatter the yardstick. Where the two ratios differ much, the machine was not quiet.
        """
        return getattr(self.timings["fastloss"], of) / getattr(roofline.fastest(self.timings, kind)[1], of)

    def as_dict(self):
        return {
            "loss": self.loss, "output": self.output, "dtype": self.dtype, "n": self.n,
            "timings": {name: timing.as_dict() for name, timing in self.timings.items()}, "absent": self.absent,
            **({} if self.classes is None else {"classes": self.classes}),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, fields):
        """What as_dict gave; KeyError, TypeError, ValueError or OverflowError if it is something else."""
        loss, output, dtype, n = case = tuple(fields[key] for key in ("loss", "output", "dtype", "n"))
        classes = fields.get("classes")
        own = [name for name, definition in OWN.items() if definition.rows == (classes is not None)]
        if loss not in [*(REGISTRY if classes is None else ROW_REGISTRY), *own]:  # a list: what is not hashable is not in it; so below
            raise ValueError(f"no loss {loss!r}{'' if classes is None else ' of rows'}; one of your own is to be named, too: module:Name")
        if output not in outputs_of(loss):
            raise ValueError(f"no output {output!r} of {loss}")
        if dtype not in cases.DTYPES + cases.HALF_DTYPES:
            raise ValueError(f"no dtype {dtype!r}")
        for name, number, least in (("n", n, 1), ("classes", 2 if classes is None else classes, 2)):
            if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= LARGEST:
                raise ValueError(f"{name} is {number!r}"[:100])
        timings = {str(name): Timing.from_dict(timing) for name, timing in fields["timings"].items()}
        if "fastloss" not in timings:
            raise ValueError("no timing of fastloss")
        return cls(*case, timings, {str(name): str(why) for name, why in fields.get("absent", {}).items()}, classes)


def compare(loss, output="cost", dtype="float32", n=2**25, names=None, seconds=5.0, strict=True):
    """Time ours, the rivals and the yardsticks (if Numba is there to compile them).

    names   of rivals; None for all. Those that cannot run here or have no such function are left out, and ``absent`` says why.
    strict  A rival that fails, or is not on our terms, is a MismatchError or its own error; otherwise that too is left to ``absent``.
    """
    y, p = cases.data(loss, n, dtype)
    mine = ours.prepare(output, loss, y, p)
    result = mine()
    candidates, absent = {"fastloss": mine}, {}
    for name in rivals.MODULES if names is None else names:
        why = cannot(name, loss, output, dtype)
        if why is None:
            try:
                with np.errstate(all="ignore"):
                    theirs = rivals.losses_of(name, output)[loss](y, p)
                    verify.check(output, loss, name, y, p, theirs(), result)
                candidates[name] = theirs
            except Exception as error:
                if strict:
                    raise
                why = error.finding if isinstance(error, verify.MismatchError) else rivals.reason(error)
        if why is not None:
            absent[name] = why
    verify.check_threads()
    if roofline.installed():
        parts = [part for part in output.split("_") if part != "cost"]
        candidates |= roofline.read([y, p])
        if parts:
            candidates |= roofline.read_write([y, p], [np.empty_like(p) for _ in parts])
    return Comparison(loss, output, dtype, n, side_by_side(candidates, seconds=seconds), absent)


def cannot(name, loss, output, dtype):
    """Why a rival is not in a comparison, or None if it can be."""
    if (why := rivals.missing([name]).get(name)) is not None:
        return why
    if loss not in rivals.losses_of(name, output):
        return f"has no {output} of {loss} here"
    return None if dtype in rivals.dtypes(name) else f"does not take {dtype}"


def compare_weighted(loss, dtype="float32", n=2**25, seconds=3.0):
    """The weighted cost beside a bare read of the three arrays."""
    y, p = cases.data(loss, n, dtype)
    w = cases.weights(n, dtype)
    candidates = {"fastloss": ours.weighted_cost(loss, y, p, w), **roofline.read([y, p, w])}
    verify.check_threads()
    return Comparison(loss, "weighted_cost", dtype, n, side_by_side(candidates, seconds=seconds))


def outputs_of(loss):
    """The outputs that a loss has: what is derived of a mean is a cost alone, and a measure has no gradient."""
    definition = find(loss)
    if definition.base:
        return rivals.OUTPUTS[:1]
    missing = [part for part in ("gradient", "hessian") if definition.rows and not hasattr(definition.body, part)]
    return tuple(output for output in rivals.OUTPUTS if not set(missing) & set(output.split("_")))
