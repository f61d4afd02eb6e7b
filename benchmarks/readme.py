"""The generated tables of README.md: losses, from the registry, and speed with error beside it, measured here and now.

    python -m benchmarks.readme --write            both tables
    python -m benchmarks.readme --write --losses   all but that of speed, which needs no measuring
    python -m benchmarks.readme --check            exit code 1 if the table of losses is not the registry's, or that of the vector
                                                   math's errors not results/ulp.json's (the speed is not checked)

A table stands between ``<!-- generated: NAME -->`` and ``<!-- end generated -->``. Nothing in it is written by hand.
"""

import argparse
import math
import sys
from pathlib import Path

from benchmarks import rivals
from benchmarks.compare import compare
from benchmarks.machine import facts, sentence, warn_if_busy
from benchmarks.rivals import libraries
from fastloss.losses import REGISTRY

README = Path(__file__).resolve().parent.parent / "README.md"
TEXT = argparse.RawTextHelpFormatter
END = "<!-- end generated -->"
FAMILIES = {"regression": "Regression", "binary": "Two classes", "counts": "Counts and amounts"}
PACKAGES = ("torch", "sklearn", "numpy", "numba")  # the columns, in this order

# In the speed table besides all losses that torch or scikit-learn can compute.
ALSO = ("expectile", "fair", "lq", "pseudo_huber", "perceptron", "focal_probability", "symmetric_absolute_percentage_error")


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.readme", description=__doc__, formatter_class=TEXT)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", action="store_true")
    action.add_argument("--check", action="store_true")
    parser.add_argument("--losses", action="store_true", help="leave the table of speed as it is")
    parser.add_argument("--file", type=Path, default=README)
    parser.add_argument("--log2-n", type=int, default=25, help="samples of the speed table, as a power of two")
    parser.add_argument("--seconds", type=float, default=5.0, help="time of each comparison")
    parser.add_argument("--without-accuracy", action="store_true", help="leave the columns of error empty")
    options = parser.parse_args(argv)
    text = options.file.read_text(encoding="utf-8")
    if options.check:
        stale = [name for name, table in made().items() if between(text, name) != table]
        if stale:
            print(f"tables of {options.file} are out of date ({', '.join(stale)}): benchmarks.readme --write --losses", file=sys.stderr)
        return 1 if stale else 0
    for name, table in made().items():
        text = replaced(text, name, table)
    if not options.losses:
        between(text, "speed")  # that it can be put there, before measuring for long
        measured = None if options.without_accuracy else accuracy()
        text = replaced(text, "speed", speed_table(2**options.log2_n, options.seconds, measured))
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
    if unknown := {definition.family for definition in REGISTRY.values()} - set(FAMILIES):
        raise LookupError(f"families without a title in benchmarks/readme.py: {', '.join(sorted(unknown))}")
    parts = []
    for family, title in FAMILIES.items():
        rows = [
            (code(d.name), code(d.formula), ", ".join(map(code, d.aliases)), str(d.target))
            for d in REGISTRY.values() if d.family == family
        ]  # fmt: skip
        if not rows:
            raise LookupError(f"the family {family!r} of benchmarks/readme.py has no losses")
        parts.append(f"**{title}**\n\n{markdown(('loss', 'formula', 'also called', 'target'), rows)}")
    return "\n\n".join(parts)


def made():
    """The tables that need no measuring: of the losses, and of the vector math's errors as recorded by benchmarks.ulp."""
    from benchmarks.ulp.record import table

    return {"losses": losses_table(), "ulp": table()}


def accuracy():
    """tests.accuracy.measured: (name, dtype) -> {"value": ULP, "gradient": ULP}."""
    from tests.accuracy import measured

    return measured


def chosen():
    """The losses of the speed table, in the registry's order."""
    if unknown := set(ALSO) - set(REGISTRY):
        raise LookupError(f"benchmarks/readme.py lists losses that are not in the registry: {', '.join(sorted(unknown))}")
    table = rivals.table("cost")
    return [name for name in REGISTRY if name in ALSO or {"torch", "sklearn"} & set(table[name])]


def speed_table(n, seconds, measured):
    """The costs of ``chosen()``, and below it where that was measured. ``measured``: None leaves the errors empty."""
    if absent := rivals.missing():
        raise ModuleNotFoundError(f"the table compares with {', '.join(absent)}, not installed here")
    machine, rows = facts(), []
    warn_if_busy(machine)
    for name in chosen():
        found = compare(name, n=n, packages=tuple(rivals.table("cost")[name]), seconds=seconds)
        times = [found.times_ours(package) for package in PACKAGES]
        rows.append((
            code(name), f"{n / found.seconds / 1e9:.2f}", f"{found.over('read'):.2f}", *(_times(value) for value in times),
            *(_errors(measured, name, dtype) for dtype in ("float32", "float64")),
        ))  # fmt: skip
        print(" | ".join(rows[-1]), flush=True)
    titles = {package: libraries()[package].NAME for package in PACKAGES}
    headings = (
        "cost of", "G samples/s", "ours / bare read", *(f"{titles[package]} / ours" for package in PACKAGES),
        "error float32, ULP", "error float64, ULP",
    )  # fmt: skip
    where = (
        f"{n:,} float32 predictions and targets. Bare read: as many threads read the same two arrays and do nothing else. "
        "All columns of a row were measured interleaved in one run; least times. "
        "Errors: the largest found, of value / of gradient."
    )
    return f"{markdown(headings, rows, right=range(1, len(headings)))}\n\n{where}\n{sentence(machine)}"


def _times(value):
    return "" if value is None else f"{value:.1f}"


def _errors(measured, name, dtype):
    """ "value / gradient" of a loss; a cost that is derived has its base's."""
    if measured is None:
        return ""
    errors = measured(REGISTRY[name].base or name, dtype)
    if set(errors) < {"value", "gradient"} or any(not math.isfinite(errors[part]) for part in ("value", "gradient")):
        raise ValueError(f"tests.accuracy.measured gave {errors!r} for {name}, {dtype}")
    return f"{errors['value']:.2f} / {errors['gradient']:.2f}"


if __name__ == "__main__":
    raise SystemExit(main())
