"""Runs of `fastloss bench` as text: the table of one, the table of what changed between two."""

import textwrap

from fastloss.reports.table import table


def size(n):
    """A number of samples, as --n takes it."""
    return f"2**{n.bit_length() - 1}" if n >= 1024 and n & (n - 1) == 0 else str(n)


def duration(seconds):
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def times(ratio):
    return "-" if ratio is None else f"{ratio:.3g}x" if ratio < 1000 else f"{ratio:,.0f}x"


def case_text(case):
    loss, output, dtype, n, *classes = case
    return f"{loss} {output}, {dtype}, n={size(n)}" + "".join(f", {count} classes" for count in classes)


def _classes(cases):
    """The column of the numbers of classes, if there are some."""
    return {"classes": ["".join(map(str, case[4:])) for case in cases]} if any(case[4:] for case in cases) else {}


def _without_constants(columns, keep):
    """(columns that differ from row to row or are to be kept, "name value" of the others)."""
    constant = {name: cells[0] for name, cells in columns.items() if name not in keep and len(set(cells)) == 1}
    return {name: cells for name, cells in columns.items() if name not in constant}, constant


def run_table(run, stream=None):
    """Ours, over the roofline, and rivals in multiples of our time; below it what was not timed and why, and the machine."""
    found = run.comparisons
    columns = {
        "loss": [c.loss for c in found], "output": [c.output for c in found], "dtype": [c.dtype for c in found],
        "n": [size(c.n) for c in found], **_classes([c.case for c in found]), "time": [duration(c.seconds) for c in found],
        "G samples/s": [f"{c.n / c.seconds / 1e9:.3g}" for c in found],
    }  # fmt: skip
    if any(c.roofline for c in found):
        columns["/ roofline"] = [f"{c.seconds / c.roofline:.2f}" if c.roofline else "" for c in found]
    for name in run.rivals:
        columns[name] = [times(c.times_ours(name)) for c in found]
    fixed = ("loss", "n", "classes", "time", "G samples/s", "/ roofline", *run.rivals)
    columns, constant = _without_constants(columns, fixed)
    right = [name for name in columns if name not in ("loss", "output", "dtype")]
    head = ", ".join([*constant.values(), f"{run.machine['threads']} thread{'s' * (run.machine['threads'] != 1)}"])
    legend = ["time: of one call, the least of many"]
    if "/ roofline" in columns:
        legend.append("/ roofline: our time over that of a bare read of the inputs, and write of what is written")
    if run.rivals:
        legend.append("rivals: their time over ours")
    text = table(list(columns), list(zip(*columns.values(), strict=True)), right=right, stream=stream)
    notes = "".join(f"{line}\n" for line in absent_lines(run))
    intro = textwrap.fill(f"{head}. {'; '.join(legend)}.", 110)
    return f"{intro}\n\n{text}\n{notes}"


def absent_lines(run):
    """One line per rival and reason why it was not timed; a reason that holds for all cases is told once."""
    reasons = {}
    for comparison in run.comparisons:
        for name, why in comparison.absent.items():
            reasons.setdefault((name, why), []).append(comparison)
    lines = []
    for (name, why), where in reasons.items():
        everywhere = len(where) == len(run.comparisons) or why.startswith("has no ")
        places = "" if everywhere else ": " + "; ".join(case_text(c.case) for c in where)
        lines.append(f"not compared: {name}, {why}{places}")
    return lines


def changes_table(changes, threshold, stream=None):
    """The cases that two runs share."""
    columns = {
        "loss": [c.case[0] for c in changes], "output": [c.case[1] for c in changes], "dtype": [c.case[2] for c in changes],
        "n": [size(c.case[3]) for c in changes], **_classes([c.case for c in changes]), "old": [duration(c.old.seconds) for c in changes],
        "new": [duration(c.new.seconds) for c in changes], "new / old": [f"{c.absolute:.3f}" for c in changes],
        "by roofline": ["" if c.relative is None else f"{c.relative:.3f}" for c in changes],
        "": [c.verdict(threshold) for c in changes],
    }  # fmt: skip
    columns, _ = _without_constants(columns, ("loss", "n", "classes", "old", "new", "new / old", "by roofline", ""))
    right = [name for name in columns if name not in ("loss", "output", "dtype", "")]
    return table(list(columns), list(zip(*columns.values(), strict=True)), right=right, stream=stream)
