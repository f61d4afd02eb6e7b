"""The project's targets, measured: python -m benchmarks.targets [--only SECTIONS] [--json FILE] [--log2-n 25] [--seconds 3]

Each comparison is of candidates interleaved in one run, quoted as a ratio of minima. The exit code is 0 whether they are reached or not;
what could not be measured says why. All sections take about an hour.
"""

import argparse
import sys
from pathlib import Path

from benchmarks import THREADS
from benchmarks.targets import (
    against,
    boosters,
    calls,
    classes,
    engines,
    files,
    jax_host,
    linear,
    memory,
    metrics,
    objective,
    own,
    process,
    torches,
)  # fmt: skip
from benchmarks.targets.rows import Bench
from fastloss.measuring.machine import facts, sentence, warn_if_busy
from fastloss.measuring.runs import Run
from fastloss.reports.bench import absent_lines
from fastloss.reports.json import dumps

SECTIONS = {
    "cost": memory.cost, "outputs": memory.outputs, "cache": calls.cache, "calls": calls.calls, "half": memory.half,
    "several": memory.several, "subnormal": memory.subnormal, "numba": against.numba, "exact": memory.exact, "sizes": calls.sizes,
    "rivals": against.means, "process": process.process, "classes": classes.classes, "in_place": classes.in_place,
    "half_rows": classes.half_rows, "log_loss_rows": classes.log_loss_rows,
    "linear": linear.linear, "files": files.files, "engines": engines.engines, "metrics": metrics.metrics, "boosters": boosters.boosters,
    "own": own.own, "torch": torches.torch, "jax": jax_host.jax_host, "objective": objective.objective,
}  # fmt: skip


def sections(text):
    """Those of a list with commas, in the order of SECTIONS."""
    names = text.split(",")
    if unknown := [name for name in names if name not in SECTIONS]:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    return [name for name in SECTIONS if name in names]


def main(argv=None):
    help_as_written = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m benchmarks.targets", description=__doc__, formatter_class=help_as_written)
    parser.add_argument("--only", type=sections, default=list(SECTIONS), metavar="SECTIONS", help=f"some of {','.join(SECTIONS)}")
    parser.add_argument("--json", metavar="FILE", help="write rows, timings and the machine there")
    parser.add_argument("--log2-n", type=int, default=25, help="samples of the large arrays, as a power of two (targets are for 25)")
    parser.add_argument("--seconds", type=float, default=3.0, help="time of each large comparison")
    parser.add_argument("--huge", action="store_true", help="sizes: also n = 2**28, which takes some 10 GB")
    options = parser.parse_args(argv)
    machine, rows, bench = facts(), {}, Bench(2**options.log2_n, options.seconds, options.huge)
    warn_if_busy(machine)
    print(f"n = {bench.n}, {THREADS} threads. {sentence(machine)}")
    for name in options.only:
        print(f"\n{name}", flush=True)
        rows[name] = []
        for row in SECTIONS[name](bench):
            rows[name].append(row)
            what, target, measured, reached, note = row.cells()
            print(f"  {what:<78} {target:>9} {measured:>12}  {reached:<11} {note}".rstrip(), flush=True)
    found = [row for part in rows.values() for row in part]
    scored = [row.reached for row in found if row.reached is not None]
    unmeasured = sum(row.measured is None for row in found)
    print(f"\n{sum(scored)} of {len(scored)} targets reached; {unmeasured} not measured")
    for line in absent_lines(Run(machine, bench.seconds, bench.comparisons)):
        if ", has no " not in line:
            print(line, file=sys.stderr)
    if options.json:
        document = {
            "machine": machine, "n": bench.n, "seconds": bench.seconds,
            "rows": {name: [row.as_dict() for row in part] for name, part in rows.items()},
            "comparisons": [comparison.as_dict() for comparison in bench.comparisons],
        }  # fmt: skip
        Path(options.json).write_text(dumps(document), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
