"""Curves for the terminal, and as JSON."""

import math
import sys

from fastloss.reports.json import document_of
from fastloss.reports.table import table

BLOCKS, WIDTH = "▁▂▃▄▅▆▇█", 32


def curves_text(found, stream=None):
    """A table of runs, and below it why."""
    stream = stream or sys.stdout
    drawn = (getattr(stream, "encoding", None) or "").lower().startswith("utf")
    step = found.columns["step"] or "row"
    shown = [run.validation or run.train for run in found.runs]
    columns = {"run": [str(run.run or "") for run in found.runs]} if len(found.runs) > 1 or found.runs[0].run else {}
    columns |= {
        "verdict": [run.verdict for run in found.runs],
        f"best {step}": [number(run.best_at, 10) for run in found.runs],
        "best cost": [number(run.best) for run in found.runs],
        "last cost": [number(curve.last) for curve in shown],
        "gap": [number(run.gap) for run in found.runs],
        "noise": [number(curve.noise, 2) for curve in shown],
        "points": [str(curve.n + curve.not_finite) for curve in shown],
    }
    if drawn:
        columns["cost"] = [sparkline(run.points[1]) for run in found.runs]
    right = tuple(name for name in columns if name not in ("run", "verdict", "cost"))
    text = table(list(columns), list(zip(*columns.values(), strict=True)), right=right, stream=stream)
    for run in found.runs:
        text += "\n" + "".join(f"{run.run}: {line}\n" if run.run else f"{line}\n" for line in run.because)
    return text


def number(value, digits=6):
    return "" if value is None else f"{value:.{digits}g}"


def sparkline(costs, width=WIDTH):
    """A line of blocks: means of equal stretches between the least and the largest; a stretch with a cost that is not finite is a !."""
    count = min(width, len(costs))
    parts = [costs[i * len(costs) // count : (i + 1) * len(costs) // count] for i in range(count)]
    levels = [sum(part) / len(part) if all(map(math.isfinite, part)) else math.nan for part in parts]
    finite = [level for level in levels if math.isfinite(level)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)

    def block(level):
        if not math.isfinite(level):
            return "!"
        return BLOCKS[min(len(BLOCKS) - 1, int((level - low) / (high - low) * len(BLOCKS)))] if high - low > 0 else BLOCKS[0]

    return "".join(map(block, levels))


def curves_document(found, version):
    """The document of `fastloss curves --json`."""
    runs = [
        {
            "run": run.run, "verdict": run.verdict, "because": list(run.because), "best_at": run.best_at, "best": run.best,
            "gap": run.gap, "gap_at_best": run.gap_at_best,
            "train": None if run.train is None else vars(run.train),
            "validation": None if run.validation is None else vars(run.validation),
        } for run in found.runs
    ]  # fmt: skip
    return document_of(found, version, runs=runs)
