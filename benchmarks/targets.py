"""The project's targets, measured: python -m benchmarks.targets [--json FILE] [--log2-n 25] [--seconds 5]

Each comparison is of candidates interleaved in one run, quoted as a ratio of minima. The exit code is 0 whether they are reached or not;
what could not be measured says why.
"""

import argparse
import json

from benchmarks import THREADS, cases, processes, rivals
from benchmarks.compare import compare, compare_outputs, compare_weighted
from benchmarks.machine import facts, sentence, warn_if_busy
from fastloss.losses import REGISTRY

MEMORY_BOUND = ("squared_error", "absolute_error", "huber", "pinball", "hinge")
TEXT = argparse.RawTextHelpFormatter
SMALL = (1, 10, 100, 1000)


class Row:
    """A target and what was measured.

    sense     "<=" or ">="
    limit     None: reported without a target
    measured  None: it could not be, and ``note`` says why
    """

    def __init__(self, what, measured, sense=None, limit=None, unit="", note=""):
        self.what, self.measured, self.sense, self.limit, self.unit, self.note = what, measured, sense, limit, unit, note

    @property
    def reached(self):
        if self.limit is None or self.measured is None:
            return None
        return self.measured <= self.limit if self.sense == "<=" else self.measured >= self.limit

    def cells(self):
        target = "" if self.limit is None else f"{self.sense} {self.limit:g}{self.unit}"
        measured = "not measured" if self.measured is None else f"{self.measured:.2f}{self.unit}"
        return self.what, target, measured, {None: "", True: "reached", False: "NOT reached"}[self.reached], self.note


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.targets", description=__doc__, formatter_class=TEXT)
    parser.add_argument("--json", metavar="FILE", help="write rows, timings and the machine there")
    parser.add_argument("--log2-n", type=int, default=25, help="samples of the large arrays, as a power of two (targets are for 25)")
    parser.add_argument("--seconds", type=float, default=5.0, help="time of each large comparison")
    options = parser.parse_args(argv)
    n, comparisons, rows = 2**options.log2_n, [], []

    def add(*new):
        for row in new:
            rows.append(row)
            what, target, measured, reached, note = row.cells()
            print(f"{what:<72} {target:>10} {measured:>14}  {reached:<12} {note}".rstrip(), flush=True)

    machine = facts()
    warn_if_busy(machine)
    print(f"n = {n}, {THREADS} threads. {sentence(machine)}\n")
    for part in (memory_bound, logistic, reported):
        for comparison, found in part(n, options.seconds):
            comparisons.append(comparison)
            add(*found)
    for comparison, found in small(0.1):
        comparisons.extend(comparison)
        add(*found)
    add(*memory(n), *start_up())
    scored = [row.reached for row in rows if row.reached is not None]
    print(f"\n{sum(scored)} of {len(scored)} targets reached")
    if options.json:
        result = {
            "machine": machine, "n": n, "rows": [vars(row) | {"reached": row.reached} for row in rows],
            "comparisons": [comparison.as_dict() for comparison in comparisons],
        }  # fmt: skip
        with open(options.json, "w") as file:
            json.dump(result, file, indent=1)
    return 0


def _rival(comparison, package, limit):
    note = "" if package not in rivals.missing() else f"{package} is not installed"
    what = "cost and gradient" if comparison.kind == "cost_gradient" else "cost"
    return Row(f"{comparison.loss} {what}: {package} / ours", comparison.times_ours(package), ">=", limit, note=note)


def _speed(comparison, kind="read"):
    return f"{comparison.n / comparison.seconds / 1e9:.2f} G samples/s; ratio of medians {comparison.over(kind, 'median'):.2f}"


def memory_bound(n, seconds):
    for loss in MEMORY_BOUND:
        comparison = compare(loss, n=n, packages=("numpy", "torch"), seconds=seconds)
        bare = Row(f"{loss} cost: ours / bare read", comparison.over("read"), "<=", 1.15, note=_speed(comparison))
        yield comparison, [bare, _rival(comparison, "torch", 4.0), _rival(comparison, "numpy", 3.0)]


def logistic(n, seconds):
    comparison = compare("logistic", n=n, packages=("torch", "sklearn"), seconds=seconds)
    bare = Row("logistic cost: ours / bare read", comparison.over("read"), note=_speed(comparison))
    yield comparison, [_rival(comparison, "torch", 8.0), _rival(comparison, "sklearn", 8.0), bare]
    comparison = compare("logistic", "cost_gradient", n=n, packages=("torch", "sklearn"), seconds=seconds)
    bare = Row("logistic cost and gradient: ours / bare read and write", comparison.over("write"), note=_speed(comparison, "write"))
    yield comparison, [_rival(comparison, "torch", 10.0), _rival(comparison, "sklearn", 10.0), bare]


def reported(n, seconds):
    """Without target: weighted, float64, and outputs written."""
    for loss in ("squared_error", "logistic"):
        comparison = compare_weighted(loss, n=n, seconds=seconds / 2)
        what = f"{loss} weighted cost: ours / bare read of three arrays"
        yield comparison, [Row(what, comparison.over("read"), note=_speed(comparison))]
        comparison = compare(loss, dtype="float64", n=n, packages=(), seconds=seconds / 2)
        yield comparison, [Row(f"{loss} cost, float64: ours / bare read", comparison.over("read"), note=_speed(comparison))]
        comparison = compare_outputs(loss, "loss_gradient", n=n, seconds=seconds / 2)
        what = f"{loss} loss and gradient written: ours / bare read and write"
        yield comparison, [Row(what, comparison.over("write"), note=_speed(comparison, "write"))]


def small(seconds):
    """One row per size and dtype: the worst loss of the registry, and how many miss the target."""
    for dtype in cases.DTYPES:
        for n in SMALL:
            found = [compare(loss, dtype=dtype, n=n, packages=("numpy",), seconds=seconds, yardsticks=False) for loss in REGISTRY]
            found.sort(key=lambda comparison: comparison.times_ours("numpy"))
            worst, over = found[0], [comparison.loss for comparison in found if comparison.times_ours("numpy") < 1.0]
            note = f"{worst.loss}, ours {worst.seconds * 1e6:.2f} us" + (f"; over 1: {len(over)} ({', '.join(over)})" if over else "")
            what = f"worst of {len(found)} losses at n = {n}, {dtype}: ours / numpy"
            yield found, [Row(what, 1 / worst.times_ours("numpy"), "<=", 1.0, note=note)]


def memory(n):
    for size in (n, 4 * n):
        peak = processes.peak_memory("squared_error", size)
        note = "" if peak is not None else f"needs {3 * size * 8 / 2**30:.1f} GiB of memory"
        what = f"squared_error cost: peak memory above the inputs, n = {size}"
        yield Row(what, None if peak is None else peak / 1e6, "<=", 10, " MB", note)


def start_up():
    yield Row("import fastloss and first attribute, over import numpy", processes.import_seconds() * 1e3, "<=", 30, " ms")
    yield Row("fastloss --help, whole process", processes.help_seconds() * 1e3, "<=", 120, " ms")
    yield Row("fastloss --help: imports of numpy", float(processes.help_imports_numpy()), "<=", 0)


if __name__ == "__main__":
    raise SystemExit(main())
