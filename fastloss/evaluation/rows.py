"""Chunks of rows of C numbers as arguments of the engine, and its errors in terms of files."""

from contextlib import closing
from dataclasses import replace

import numpy as np

import fastloss as fl
from fastloss.evaluation.columns import REMEDY
from fastloss.evaluation.errors import DataError, SourceError
from fastloss.evaluation.npy import places
from fastloss.evaluation.plan import RowPlan
from fastloss.evaluation.source import AS_TEXT, hidden_rows, path_of

# Of what is read at a time: so much that a wide row's chunks are still many rows, so little that it is still in the cache when computed.
CHUNK_BYTES = 2**23
COLUMNS = {"y_true": "target_columns", "y_pred": "prediction_columns"}
WHOLE_FLOAT = 2.0**53
CLASSES_SHOWN = 10
NO_LABEL = 'is NaN; leave such rows out with nan="skip" (--nan skip)'


class RowTask:
    """What an evaluation of rows of C numbers reads, and how that becomes arguments of State.update."""

    def __init__(self, state, paths, names, positive, classes, by=(), reading=None):
        losses = [fl.get(loss) for loss in state.losses]
        if positive is not None:
            raise SourceError("`positive` is of losses of two classes; losses of rows take classes=[...] (--classes a,b,c)")
        if len({loss.labels for loss in losses}) > 1:
            both = ", ".join(f"{loss.name} ({'labels' if loss.labels else 'a target per class'})" for loss in losses)
            raise SourceError(f"losses of different targets do not go together: {both}")
        found = RowPlan(paths, names, losses[0].labels, classes, by, reading)
        for loss in losses if found.width is not None else ():
            try:
                loss.check_classes(found.width)
            except ValueError as error:
                raise SourceError(str(error)) from error
        self.parts, self.notes, self.chunk_rows = found.parts, found.notes, chunk_rows
        self.classes = None if found.classes is None else tuple(found.classes)
        self.columns = {COLUMNS[role]: names for role, names in found.columns.items()}

    def update(self, state, chunk, source, wants, n_threads):
        """Take a chunk into the state; returns (the arguments of State.update, and None; or, where some rows have no label, a dict of
        where the others are and what those weigh). Rows without a label are NaN, and of no class."""
        arguments, lost = prepare(chunk, source, wants, hidden_rows(chunk, source, wants, state.nan))
        kept = there = None
        if lost is not None:
            if state.nan == "raise":
                want = next(want for want in wants if want.role == "y_true")
                raise DataError(f"column {want.name!r} {NO_LABEL}", path_of(source, want.name), chunk.first + int(lost.argmax()), want.name)
            kept = np.flatnonzero(~lost)
            weight = arguments.get("sample_weight")
            without = None if weight is None else weight[lost]
            arguments = {role: taken(argument, kept) for role, argument in arguments.items()}
            there = {"kept": kept, "n": chunk.rows, "without": without}
        try:
            state.update(**arguments, n_threads=n_threads)
            if lost is not None:
                kept = np.flatnonzero(lost)
                state.update_missing(len(kept), without)
        except fl.InputError as error:
            raise explained(error, source, wants, chunk, arguments, kept) from error
        return arguments, there


def chunk_rows(wants, most):
    """How many rows to read at a time, at most ``most``."""
    return max(1, min(most, CHUNK_BYTES // (8 * sum(want.width or 1 for want in wants))))


def prepare(chunk, source, wants, hidden):
    """(the arguments of State.update for a chunk, mask of the rows that have no label, or None). ``hidden``: rows with a missing value that
    are to be skipped, or None."""
    arguments, lost = {}, None
    for role in dict.fromkeys(want.role for want in wants):
        mine = [(want, array, nulls) for want, array, nulls in zip(wants, chunk.arrays, chunk.nulls, strict=True) if want.role == role]
        (want, array, nulls), *others = mine
        if others or want.width is not None:
            arguments[role] = together([array for _, array, _ in mine])
        elif role == "y_true":
            arguments[role], lost = class_numbers(array, want, source, chunk, nulls, hidden)
        else:
            arguments[role] = array
    if hidden is not None:
        arguments["y_pred"] = with_nan(arguments["y_pred"], hidden)
        if "sample_weight" in arguments:
            arguments["sample_weight"] = np.where(hidden, 0, arguments["sample_weight"])
    return arguments, lost


def taken(argument, rows):
    """Some rows of an argument."""
    return [column[rows] for column in argument] if isinstance(argument, list) else argument[rows]


def together(arrays):
    """Columns as one array of two dimensions where they are columns of one in memory already, else as they are."""
    first, *others = arrays
    if not others:
        return first
    place = [array.__array_interface__["data"][0] for array in arrays]
    step, stride = place[1] - place[0], first.strides[0]
    within = step > 0 and step * (len(arrays) - 1) + first.itemsize <= stride  # beside one another in each row
    even = all(after - before == step for before, after in zip(place, place[1:], strict=False))
    if within and even and all(array.dtype == first.dtype and array.strides == first.strides for array in others):
        return np.lib.stride_tricks.as_strided(first, (len(first), len(arrays)), (stride, step), writeable=False)
    return arrays


def with_nan(scores, hidden):
    """The scores with NaN in the rows that are hidden."""
    if isinstance(scores, list):
        return [with_nan(column, hidden) for column in scores]
    copy = scores.astype(scores.dtype if scores.dtype.kind == "f" else np.float64)
    copy[hidden] = np.nan
    return copy


def class_numbers(array, want, source, chunk, nulls, hidden):
    """(labels as class numbers, mask of those that are missing, NaN, or no class of a row that is skipped anyway; or None). DataError,
    naming the row, if another is no class number or no class."""
    lost = np.zeros(len(array), bool) if nulls is None else nulls.copy()
    if array.dtype.kind == "f":
        lost |= np.isnan(array)
        array = np.where(lost, array.dtype.type(0), array)
    skipped = lost if hidden is None else lost | hidden
    if want.places is not None:
        codes = places(array, np.array(want.places))
        wrong, shown = codes < 0, array
    elif isinstance(want.label, tuple):
        codes = array.astype(np.int64)  # a column of nothing but missing values came as NaN
        wrong, shown = codes < 0, None
    elif array.dtype.kind == "f":
        wrong, shown = ~(np.abs(array) <= WHOLE_FLOAT) | (np.floor(array) != array), array
        codes = np.where(wrong, 0, array).astype(np.int64)
    else:
        codes, wrong, shown = array, np.zeros(len(array), bool), array
    refuse(wrong & ~skipped, shown, want, source, chunk)
    lost |= wrong
    return (codes, lost) if lost.any() else (codes, None)


def refuse(wrong, array, want, source, chunk):
    """DataError for the first wrong label."""
    if not wrong.any():
        return
    row = int(wrong.argmax())
    value = text_at(source, want, chunk.first + row) if array is None else array[row].item()
    shown = "another" if value is None else repr(value)
    listed = want.label or want.places
    if listed is None:
        message = f"column {want.name!r} must hold class numbers, or labels of {REMEDY}, got {value!r}"
    else:
        classes = ", ".join(map(repr, listed[:CLASSES_SHOWN])) + ", ..." * (len(listed) > CLASSES_SHOWN)
        message = f"column {want.name!r} must be one of the classes {classes}, got {shown}; list all classes: {REMEDY}"
    raise DataError(message, path_of(source, want.name), chunk.first + row, want.name)


def text_at(source, want, row):
    """The text that a column has in a row, read again; None where that cannot be."""
    if getattr(source, "once", False):
        return None
    with closing(source.chunks([replace(want, label=AS_TEXT)], 2**18)) as chunks:
        for chunk in chunks:
            if row < chunk.first + chunk.rows:
                value = chunk.arrays[0][row - chunk.first]
                return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return None


def explained(error, source, wants, chunk, arguments, kept=None):
    """The engine's InputError as a DataError in terms of files. ``kept``: which rows of the chunk it was of, or None for all."""
    row, column = error.index if isinstance(error.index, tuple) else (error.index, None)
    at = chunk.first + (row if kept is None else int(kept[row]))
    role = "y_pred" if error.argument == "loss" else error.argument
    mine = [want for want in wants if want.role == role]
    if error.argument == "loss":
        scores = arguments["y_pred"]
        values = [scores_j[row] for scores_j in scores] if isinstance(scores, list) else scores[row]
        lost = np.isnan(np.asarray(values, float))
        want = mine[int(lost.argmax())] if len(mine) > 1 and lost.any() else mine[0]
        message = f'`{error.loss}` is NaN; leave such rows out with nan="skip" (--nan skip)'
        return DataError(message, path_of(source, want.name), at, want.name)
    if column is None and role in COLUMNS and (len(mine) > 1 or mine[0].width is not None):  # the row as a whole: its sum
        name = repr(mine[0].name) if len(mine) == 1 else f"{mine[0].name!r} to {mine[-1].name!r}"
        message = f"columns {name} of {error.loss} must be {error.allowed}, got {error.value!r}; {error.remedy}"
        return DataError(message, path_of(source, mine[0].name), at, mine[0].name)
    want = mine[column] if column is not None and len(mine) > 1 else mine[0]
    inside = f", number {column} of its row," if column is not None and len(mine) == 1 else ""
    message = f"column {want.name!r}{inside}{f' of {error.loss}' if error.loss else ''} must be {error.allowed}, got {error.value!r}"
    remedy = f"; {error.remedy}" if error.remedy else ""
    if error.argument == "y_true" and column is None:
        known = error.remedy and error.value < 2**63  # none, if others are left out; and what int64 has not cannot be
        leave_out = f'; labels to leave out: "{error.loss}:ignore_index={error.value}"' if known else ""
        remedy = f"; labels that are not 0 to C - 1: {REMEDY}{leave_out}"
    return DataError(message + remedy, path_of(source, want.name), at, want.name)
