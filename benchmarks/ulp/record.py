"""What is kept of a measurement: results/ulp.json, README's table of it, and whether new numbers still are within it."""

import datetime
import json
from pathlib import Path

from fastloss.compiler.subset import VOCABULARY
from fastloss.engine.cython_backend import FMA
from fastloss.measuring.machine import processor

FILE = Path(__file__).resolve().parent.parent / "results" / "ulp.json"
SLACK = 0.05  # ULP by which samples may exceed what was recorded: that, too, was not found by looking everywhere
FAMILIES = {"fma": "x86-64-v3, -v4", "no-fma": "x86-64-v2"}


def family(level):
    """ "fma" or "no-fma": within a family the results are the same to the bit."""
    return "fma" if level in FMA else "no-fma"


def load():
    """{instruction set: {dtype: {function: result}}}; empty before the first measurement."""
    return json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}


def entry(found, exhaustive):
    """One result. Arguments are hexadecimal: exact, and JSON has no NaN."""
    return {
        "ulp": round(found.ulp, 4),
        "argument": [value.hex() for value in found.argument],
        "points": found.points,
        "exhaustive": exhaustive,
        "zeros_of_wrong_sign": found.zero_signs,
        "bits_differ_within_family": found.differing,
        "date": datetime.date.today().isoformat(),
        "machine": processor(),
    }


def save(results):
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def broken(name, dtype, level, found, results):
    """What is wrong with a new measurement, as text, or None."""
    where = f"{name}, {dtype}, {level}"
    known = results.get(level, {}).get(dtype, {}).get(name)
    if known is None:
        return f"{where}: nothing is recorded"
    if not found.ulp <= known["ulp"] + SLACK:
        return f"{where}: an error of {found.ulp:.3f} ULP at {found.argument}, where at most {known['ulp']:.3f} are recorded"
    if found.zero_signs and not known["zeros_of_wrong_sign"]:
        return f"{where}: {found.zero_signs} zeros have the wrong sign"
    if found.differing:
        return f"{where}: {found.differing} results differ in bits from those of another level of the same family"
    return None


def table():
    """README's: function x (float32, float64) x family. A family's error is the largest of its levels."""
    from benchmarks.readme import code, markdown

    results = load()
    levels = {kind: [level for level in results if family(level) == kind] for kind in FAMILIES}
    headings = ["function"] + [f"{dtype}, {FAMILIES[kind]}" for dtype in ("float32", "float64") for kind in FAMILIES]
    rows = []
    for name in VOCABULARY:
        cells = [
            max((results[level][dtype][name]["ulp"] for level in levels[kind] if name in results[level].get(dtype, {})), default=None)
            for dtype in ("float32", "float64")
            for kind in FAMILIES
        ]
        if any(cells):  # what never rounds says nothing
            rows.append((code(name), *("" if cell is None else f"{cell:.2f}" for cell in cells)))
    return f"{markdown(headings, rows, right=range(1, len(headings)))}\n\n{_where(results)}"


def _where(results):
    entries = [found for dtypes in results.values() for functions in dtypes.values() for found in functions.values()]
    pairs = min(f["float32"][n]["points"] for f in results.values() for n in f["float32"] if VOCABULARY[n] == 2)
    double = min(found["points"] for dtypes in results.values() for found in dtypes["float64"].values())
    single = {found["exhaustive"] for dtypes in results.values() for n, found in dtypes["float32"].items() if VOCABULARY[n] == 1}
    how = "every float32" if single == {True} else "a sample of all float32"
    machines = ", ".join(sorted({found["machine"] for found in entries}))
    return (
        f"Largest errors found, in ULP: over {how} where there is one argument, {pairs:,} float32 pairs and {double:,} float64 points "
        f"otherwise, against float64 and MPFR. {machines}; {max(found['date'] for found in entries)}."
    )
