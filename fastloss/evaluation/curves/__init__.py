"""Curves: costs by epoch, step or run, from logs; what they show, and how sure that is."""

import os
from dataclasses import dataclass

import numpy as np

import fastloss as fl
from fastloss.evaluation.curves.choose import choose
from fastloss.evaluation.curves.judge import Curve, Run, judged
from fastloss.evaluation.curves.logs import numbers, of_object, of_records, read
from fastloss.evaluation.errors import DataError, SourceError
from fastloss.evaluation.plan import expand

__all__ = ["Curve", "Curves", "Run", "curves"]
MOST_RUNS = 10_000


@dataclass(frozen=True)
class Curves:
    """runs: (Run, ...), in the order in which they came; columns: of the first log {"train", "validation", "step", "run"}; files; notes.
    best: the Run of the least best cost, or None."""

    runs: tuple
    columns: dict
    files: tuple
    notes: tuple

    def __str__(self):
        """The tables that the command line prints."""
        return fl.text_of(self).rstrip()

    @property
    def best(self):
        return min((run for run in self.runs if run.best is not None), key=lambda run: run.best, default=None)


def curves(table, *, train=None, validation=None, step=None, run=None):
    """What costs by epoch show: converged, still falling, overfitting, diverging, NaN from where; the best epoch. Returns Curves.

    table       a log file, a pattern or a list of them, each a run of its own (.csv, .tsv, .jsonl, .ndjson, .json: see ``fastloss curves
                --help``); or a table: {name: column}, a list of {name: value}, a DataFrame, evals_result of XGBoost or LightGBM
    train, validation
                names of columns of costs, the less the better; guessed by name if both are None
    step        name of the column that counts epochs or steps, which may have gaps; guessed, else the rows are counted from 0
    run         name of a column whose values are runs; guessed

    An empty cell or None is no measurement; NaN and infinity are. Where a step comes twice in a run (which was resumed), the last counts.
    Raises SourceError if a file or column is not there, or none looks like a cost; DataError for what is no log, or no number.
    """
    logs = [read(path) for path in expand(table)] if is_paths(table) else [of_table(table)]
    if not logs:
        raise SourceError("no log is given")
    runs, notes, first = [], [], None
    for log in logs:
        chosen = choose(log, train, validation, step, run)
        first = first or chosen
        notes += chosen.notes
        for name, rows in runs_of(log, chosen.run):
            if len(logs) > 1:
                name = log.path if name is None else f"{log.path}: {name}"
            sides = {side: points(log, getattr(chosen, side), chosen.step, rows) for side in ("train", "validation")}
            if sides["train"] is sides["validation"] is None:
                raise DataError(f"run {name!r} has no cost" if name else "there is no cost in it", log.path)
            again = sum(side[3] for side in sides.values() if side is not None)
            if again:
                notes.append(f"{name or log.path or 'the table'}: {again} points have a step that comes again; the last of each counts")
            given = [None if side is None else side[:3] for side in sides.values()]
            runs.append(judged(name, *given, chosen.step or "row"))
            if len(runs) > MOST_RUNS:
                raise SourceError(f"there are more than {MOST_RUNS} runs; is {chosen.run!r} a column of runs?")
    names = {side: getattr(first, side) for side in ("train", "validation", "step", "run")}
    return Curves(tuple(runs), names, tuple(log.path for log in logs if log.path), tuple(notes))


def is_paths(table):
    if isinstance(table, str | os.PathLike):
        return True
    return isinstance(table, list | tuple) and all(isinstance(part, str | os.PathLike) for part in table)


def of_table(table):
    """The Log of a table in memory."""
    if hasattr(table, "columns") and not isinstance(table, dict):
        table = {str(name): table[name] for name in table.columns}
        table = {name: column.to_list() if hasattr(column, "to_list") else list(column) for name, column in table.items()}
    if isinstance(table, dict):
        return of_object({str(name): listed(value) for name, value in table.items()})
    if isinstance(table, list | tuple) and table and all(isinstance(record, dict) for record in table):
        return of_records(list(table))
    raise TypeError(f"`table` must be a path, a list of paths, a table of columns or a list of records, got {type(table).__name__}")


def listed(value):
    if isinstance(value, dict):
        return {str(name): listed(part) for name, part in value.items()}
    return np.asarray(value).tolist() if isinstance(value, np.ndarray) else list(value) if isinstance(value, tuple | range) else value


def runs_of(log, column):
    """(name, rows) of each run, in the order in which they come."""
    if column is None:
        return [(None, range(log.rows))]
    found = {}
    for row, value in enumerate(log.columns[column]):
        found.setdefault(str(value), []).append(row)
    return list(found.items())


def points(log, name, step, rows):
    """(column, steps, costs, how many steps came again) in order of the steps; None if there is no such column, or no cost."""
    if name is None:
        return None
    values = numbers(log, name)
    steps = numbers(log, step) if step is not None else None
    found, count = {}, 0
    for place, row in enumerate(rows):
        if values[row] is None:
            continue
        at = place if steps is None else steps[row]
        if at is None or not np.isfinite(at):
            raise DataError(f"column {step!r} must count the steps, and has no finite number beside a cost", log.path, row, step)
        found[at] = values[row]
        count += 1
    if not found:
        return None
    order = sorted(found)
    return name, order, [found[at] for at in order], count - len(found)
