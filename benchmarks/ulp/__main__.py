"""The command; see benchmarks/ulp/__init__.py."""

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import benchmarks.ulp as about
from benchmarks import readme
from benchmarks.ulp import record
from fastloss.compiler.subset import VOCABULARY

try:
    from benchmarks.ulp import measure
except ModuleNotFoundError as error:
    raise SystemExit(f'python -m benchmarks.ulp needs {error.name}, which is not installed: pip install -e ".[test]"') from error

DTYPES = ("float32", "float64")
QUICK = {"stride": 1009, "points": 100_000}


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ulp", description=about.__doc__, formatter_class=readme.TEXT)
    parser.add_argument("--functions", nargs="+", choices=VOCABULARY, default=list(VOCABULARY), metavar="NAME")
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=DTYPES)
    parser.add_argument("--stride", type=int, help="take every STRIDE-th float32 only")
    parser.add_argument("--points", type=int, help="float64 points per function (default 10,000,000)")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--check", action="store_true", help="compare samples with what is recorded, and write nothing")
    options = parser.parse_args(argv)
    stride = options.stride or (QUICK["stride"] if options.check else 1)
    points = options.points or (QUICK["points"] if options.check else 10_000_000)
    results, complaints = record.load(), []
    with ProcessPoolExecutor(options.processes) as processes:
        for dtype in options.dtypes:
            for name in options.functions:
                for level, found in one(processes, name, dtype, points, stride).items():
                    if options.check:
                        complaints.append(record.broken(name, dtype, level, found, results))
                    else:
                        exhaustive = dtype == "float32" and VOCABULARY[name] == 1 and stride == 1
                        results.setdefault(level, {}).setdefault(dtype, {})[name] = record.entry(found, exhaustive)
                if not options.check:
                    record.save(results)  # as far as it has come
    if options.check:
        complaints = [complaint for complaint in complaints if complaint]
        print("\n".join(complaints), file=sys.stderr)
        return 1 if complaints else 0
    if all(name in results[level].get(dtype, {}) for level in results for dtype in DTYPES for name in VOCABULARY):
        text = readme.README.read_text(encoding="utf-8")
        readme.README.write_text(readme.replaced(text, "ulp", record.table()), encoding="utf-8")
    return 0


def one(processes, name, dtype, points, stride):
    """{instruction set: Found} of a function, and a line about it on the terminal."""
    start, total = time.perf_counter(), {level: measure.Found() for level in measure.modules()}
    for found in processes.map(measure.task, measure.tasks(name, dtype, points, stride)):
        for level, part in found.items():
            total[level].merge(part)
    errors = "  ".join(f"{level} {found.ulp:.3f}" for level, found in total.items())
    last = list(total.values())[-1]
    where = ", ".join(map(repr, last.argument))
    notes = f"  zeros of wrong sign: {last.zero_signs}" * bool(last.zero_signs)
    notes += "  BITS DIFFER" * any(found.differing for found in total.values())
    print(f"{dtype} {name:12} {errors}  at {where}  {last.points:,} points, {time.perf_counter() - start:.0f} s{notes}", flush=True)
    return total


if __name__ == "__main__":
    raise SystemExit(main())
