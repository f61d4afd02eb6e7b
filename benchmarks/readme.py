"""What is generated in README.md: the losses, from the registry; speed with error beside it, and `fastloss bench`, measured here and now;
what other commands print.

    python -m benchmarks.readme --write            all of it, and the chart in benchmarks/results
    python -m benchmarks.readme --write --losses   what needs no measuring: the table of losses, that of results/ulp.json, printed examples
    python -m benchmarks.readme --write --errors   of the table of speed the columns of errors alone, which take half a minute
    python -m benchmarks.readme --write --bench    what `fastloss bench` prints and draws
    python -m benchmarks.readme --write --rows     softmax cross-entropy over the number of classes, and its chart
    python -m benchmarks.readme --check            exit code 1 if what needs no measuring is out of date

A block stands between ``<!-- generated: NAME -->`` and ``<!-- end generated -->``. Nothing in it is written by hand.
"""

import argparse
import io
import math
import os
import shlex
import subprocess
import sys
from pathlib import Path

import benchmarks  # settles the threads
from benchmarks import readme_outputs, readme_rows
from fastloss.cli import bench
from fastloss.engine import threads as engine
from fastloss.losses import REGISTRY, definitions
from fastloss.measuring import rivals, runs
from fastloss.measuring.compare import compare
from fastloss.measuring.machine import facts, sentence, warn_if_busy
from fastloss.reports.bench import absent_lines, run_table, size

README = Path(__file__).resolve().parent.parent / "README.md"
TEXT = argparse.RawTextHelpFormatter
PARTS = {
    "losses": "the table of losses", "speed": "the table of speed", "bench": "what `fastloss bench` prints and draws",
    "rows": "the table of rows, and its chart",
}  # fmt: skip
END = "<!-- end generated -->"
PRINTED = {
    "suggest": "fastloss suggest fastloss/samples/breast_cancer.csv -t y -p z",
    "curves": "fastloss curves fastloss/samples/boosting.csv",
}  # fmt: skip
FAMILIES = {
    "regression": "Regression",
    "binary": "Two classes",
    "counts": "Counts and amounts",
    "multiclass": "Rows: one label of C classes",
    "distributions": "Rows: a distribution over C classes",
    "multilabel": "Rows: C labels",
    "vectors": "Rows: vectors",
}
PACKAGES = ("torch", "torch.compile", "jax", "sklearn", "numpy", "numba")  # the columns, in this order
CHART = Path(__file__).resolve().parent / "results" / "speed.svg"
LOG2_N, SECONDS = 25, 5.0  # defaults
DRAWN = ("squared_error", "logistic")

# In the speed table besides all losses that torch or scikit-learn can compute.
ALSO = ("expectile", "fair", "lq", "pseudo_huber", "perceptron", "focal_probability", "symmetric_absolute_percentage_error")


def parser():
    """Of the command's words."""
    words = argparse.ArgumentParser(prog="python -m benchmarks.readme", description=__doc__, formatter_class=TEXT)
    action = words.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", action="store_true")
    action.add_argument("--check", action="store_true")
    for part, what in PARTS.items():
        words.add_argument(f"--{part}", action="store_true", help=f"write {what}, and of the others what is asked for too")
    words.add_argument("--errors", action="store_true", help="write the columns of errors of the table of speed, and leave the others")
    words.add_argument("--file", type=Path, default=README)
    words.add_argument("--chart", type=Path, default=CHART)
    words.add_argument("--log2-n", type=int, default=LOG2_N, help="samples of large arrays, as a power of two")
    words.add_argument("--seconds", type=float, default=SECONDS, help="time of each comparison")
    words.add_argument("--without-accuracy", action="store_true", help="leave the columns of error empty")
    return words


def main(argv=None):
    options = parser().parse_args(argv)
    text = options.file.read_text(encoding="utf-8")
    if options.check:
        stale = [name for name, table in made().items() if between(text, name) != table]
        if stale:
            print(f"tables of {options.file} are out of date ({', '.join(stale)}): benchmarks.readme --write --losses", file=sys.stderr)
        return 1 if stale else 0
    parts = [part for part in PARTS if getattr(options, part)] or ([] if options.errors else list(PARTS))
    for part in parts:
        between(text, part)  # that it can be put there, before measuring for long
    if "losses" in parts:
        for name, table in made().items():
            text = replaced(text, name, table)
    if "speed" in parts:
        measured = None if options.without_accuracy else accuracy()
        text = replaced(text, "speed", speed_table(options.log2_n, options.seconds, measured))
    if options.errors and "speed" not in parts:
        text = replaced(text, "speed", with_errors(between(text, "speed"), accuracy()))
    if "bench" in parts:
        text = replaced(text, "bench", bench_block(options.log2_n, options.seconds, options.chart))
    if "rows" in parts:
        given = f" --log2-n {options.log2_n}" * (options.log2_n != LOG2_N) + f" --seconds {options.seconds:g}" * (
            options.seconds != SECONDS
        )
        command = f"python -m benchmarks.readme --write --rows{given}"
        text = replaced(text, "rows", readme_rows.block(options.log2_n, options.seconds, markdown, command))
    options.file.write_text(text, encoding="utf-8")
    return 0


def _bounds(text, name):
    start = f"<!-- generated: {name} -->"
    if text.count(start) != 1:
        raise LookupError(f"README needs {start!r} exactly once, has it {text.count(start)} times")
    low = text.index(start) + len(start)
    high = text.find(END, low)
    if high < 0 or "<!-- generated:" in text[low:high]:
        raise LookupError(f"{start!r} of README is not followed by its {END!r}")
    return low, high


def between(text, name):
    """What stands between a table's markers."""
    low, high = _bounds(text, name)
    return text[low:high].strip("\n")


def replaced(text, name, table):
    """The text with another table between its markers."""
    low, high = _bounds(text, name)
    return f"{text[:low]}\n{table}\n{text[high:]}"


def markdown(headings, rows, right=()):
    """A table; ``right``: columns that are aligned so."""
    if any(len(row) != len(headings) for row in rows):
        raise ValueError("a row has other cells than there are headings")
    rule = ["---:" if i in right else "---" for i in range(len(headings))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (headings, rule, *rows))


def code(text):
    """Code in a cell: a bar would end the cell, even within backquotes."""
    return "`" + text.replace("|", "\\|") + "`"


def losses_table():
    """All losses, by family."""
    if unknown := {definition.family for definition in definitions()} - set(FAMILIES):
        raise LookupError(f"families without a title in benchmarks/readme.py: {', '.join(sorted(unknown))}")
    parts = []
    for family, title in FAMILIES.items():
        rows = [
            (code(d.name), code(d.formula), ", ".join(map(code, d.aliases)), str(d.target))
            for d in definitions() if d.family == family
        ]  # fmt: skip
        if not rows:
            raise LookupError(f"the family {family!r} of benchmarks/readme.py has no losses")
        parts.append(f"**{title}**\n\n{markdown(('loss', 'formula', 'also called', 'target'), rows)}")
    return "\n\n".join(parts)


def made():
    """What needs no measuring: the tables of the losses, and of the vector math's errors as recorded by benchmarks.ulp; what the
    commands of PRINTED print."""
    from benchmarks.ulp.record import table

    return {
        "losses": losses_table(),
        "ulp": table(),
        **{name: printed(words) for name, words in PRINTED.items()},
        "compare": readme_outputs.compare_block(),
    }


def printed(command):
    """A command, and what it prints to standard output in the repository's root."""
    words = [sys.executable, "-m", *shlex.split(command)]
    run = subprocess.run(
        words, capture_output=True, check=True, cwd=README.parent, encoding="utf-8", env=os.environ | {"PYTHONIOENCODING": "utf-8"}
    )
    return f"```\n$ {command}\n{run.stdout}```"


def accuracy():
    """tests.corners.measured: (name, dtype) -> {"value": ULP, "gradient": ULP}."""
    from tests.corners import measured

    return measured


def chosen():
    """The losses of the speed table, in the registry's order."""
    if unknown := set(ALSO) - set(REGISTRY):
        raise LookupError(f"benchmarks/readme.py lists losses that are not in the registry: {', '.join(sorted(unknown))}")
    table = rivals.table("cost")
    return [name for name in REGISTRY if name in ALSO or {"torch", "sklearn"} & set(table[name])]


def speed_command(log2_n, seconds, accuracy=True):
    """The words that make the table of speed, to stand below it."""
    given = (
        f" --log2-n {log2_n}" * (log2_n != LOG2_N)
        + f" --seconds {seconds:g}" * (seconds != SECONDS)
        + " --without-accuracy" * (not accuracy)
    )
    return f"python -m benchmarks.readme --write --speed{given}"


def speed_table(log2_n, seconds, measured):
    """The costs of ``chosen()``, and below it how and where that was measured. ``measured``: None leaves the errors empty."""
    n = 2**log2_n
    if absent := rivals.missing(PACKAGES):
        raise ModuleNotFoundError(f"the table compares with what is not here: {absent}")
    machine, rows, comparisons = facts(PACKAGES), [], []
    warn_if_busy(machine)
    for name in chosen():
        found = compare(name, n=n, names=PACKAGES, seconds=seconds, strict=False)
        comparisons.append(found)
        times = [found.times_ours(package) for package in PACKAGES]
        rows.append((
            code(name), f"{n / found.seconds / 1e9:.2f}", f"{found.over('read'):.2f}", *(_times(value) for value in times),
            *(_errors(measured, name, dtype) for dtype in ("float32", "float64")),
        ))  # fmt: skip
        print(" | ".join(rows[-1]), flush=True)
    titles = {package: rivals.library(package).NAME for package in PACKAGES}
    headings = (
        "cost of", "G samples/s", "ours / bare read", *(f"{titles[package]} / ours" for package in PACKAGES),
        "error float32, ULP", "error float64, ULP",
    )  # fmt: skip
    where = (
        f"{n:,} float32 predictions and targets. Bare read: as many threads read the same two arrays and do nothing else. "
        "All columns of a row were measured interleaved in one run; least times. "
        "Errors: the largest found, of value / of gradient, among half a million ordinary pairs "
        "for the default parameters, and among extremes for others (tests/corners.py, tests/accuracy.py)."
    )
    refused = "".join(f"\n{line}." for line in absent_lines(runs.Run(machine, seconds, comparisons)) if ", has no " not in line)
    made_by = f"Made by `{speed_command(log2_n, seconds, measured is not None)}`."
    return f"{markdown(headings, rows, right=range(1, len(headings)))}\n\n{where}{refused}\n{made_by}\n{sentence(machine)}"


def bench_command(sizes, seconds, threads=None):
    """The `fastloss bench` that measures what stands below it; ``threads``: None for fastloss's own number."""
    given = "".join(f" --n {size(n)}" for n in sizes) if tuple(sizes) != bench.SIZES else ""
    given += f" --seconds {seconds:g}" * (seconds != bench.SECONDS) + f" --threads {threads}" * (threads is not None)
    return f"fastloss bench{given}"


def bench_block(log2_n, seconds, chart):
    """What `fastloss bench` prints, with a size of its own for large arrays; draws the chart of speed against size."""
    from fastloss.measuring.chart import chart as draw

    def report(done, total, case):
        if case is not None:
            print(f"{done + 1}/{total}", *case, file=sys.stderr, flush=True)

    sizes = sorted({*bench.SIZES[:-1], min(2**log2_n, bench.SIZES[-1])})
    run = runs.measure([(loss, "cost", "float32", n) for loss in bench.LOSSES for n in sizes], seconds=seconds, report=report)
    warn_if_busy(run.machine)
    drawn = [(loss, "cost", "float32", 2**k) for loss in DRAWN for k in range(log2_n % 3, log2_n + 1, 3)]
    chart.parent.mkdir(exist_ok=True)
    draw(runs.measure(drawn, seconds=seconds, report=report), chart)
    command = bench_command(sizes, seconds, None if engine.allowed() == benchmarks.THREADS else benchmarks.THREADS)
    return f"```\n$ {command}\n{run_table(run, stream=io.StringIO()).rstrip()}\n```\n\n{sentence(run.machine)}"


def _times(value):
    return "" if value is None else f"{value:.1f}"


def with_errors(table, measured):
    """The table of speed with its last two columns, the errors, measured anew."""
    lines = table.split("\n")
    for i, line in enumerate(lines):
        cells = line.split(" | ")
        if line.startswith("| `"):
            name = cells[0].strip("| `")
            lines[i] = " | ".join([*cells[:-2], *(_errors(measured, name, dtype) for dtype in ("float32", "float64"))]) + " |"
    return "\n".join(lines)


def _errors(measured, name, dtype):
    """ "value / gradient" of a loss; a cost that is derived has its base's."""
    if measured is None:
        return ""
    errors = measured(REGISTRY[name].base or name, dtype)
    if set(errors) < {"value", "gradient"} or any(not math.isfinite(errors[part]) for part in ("value", "gradient")):
        raise ValueError(f"tests.corners.measured gave {errors!r} for {name}, {dtype}")
    return f"{errors['value']:.2f} / {errors['gradient']:.2f}"


if __name__ == "__main__":
    raise SystemExit(main())
