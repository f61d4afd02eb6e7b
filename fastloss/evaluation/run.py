"""The run: chunks of files into one State of the engine."""

import os
import time
from contextlib import closing
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

import numpy as np

import fastloss as fl
from fastloss.evaluation.errors import DataError, SourceError
from fastloss.evaluation.plan import plan
from fastloss.evaluation.source import AS_TEXT, FORMATS
from fastloss.losses import find

# Enough for the engine's threads, and small enough that what was read is still in the cache when it is computed. Reading ahead in a
# thread was tried and brought nothing: 30 M rows of a 2-D .npy, mse 93 ms without and 100 with (log_loss 700 and 750), 160 and 170 ms
# from a cold disk; Parquet and CSV are decoded ahead by polars anyway. Pieces of 2**16, 2**18 and 2**20 rows differ by less than noise.
CHUNK_ROWS = 2**18

LABELS_SHOWN = 5


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation of files found; evaluation["mse"] is the cost of a loss, named as it was given.

    results     one per loss, as State.results() gives them: name, spec, cost, n, n_nan, n_inf, weight_sum
    rows        rows read
    files       ({"path", "rows", "bytes"}, ...) in the order in which they were read
    bytes_read  size of those files on disk
    seconds     wall clock, from opening the first file to the results
    columns     {"target", "prediction", "weight"}: names of the columns
    notes       what the user should know besides, as sentences
    state       the State, which can be merged with others of the same losses
    """

    results: tuple
    rows: int
    files: tuple
    bytes_read: int
    seconds: float
    columns: dict
    notes: tuple
    state: object

    @property
    def costs(self):
        """{loss: cost}"""
        return {result.name: result.cost for result in self.results}

    def __getitem__(self, name):
        """The cost of a loss, by its name as it was given; KeyError if there is none of that name."""
        try:
            return self.costs[name]
        except KeyError:
            raise KeyError(f"{name!r}; the losses are {', '.join(self.costs)}") from None


def evaluate_files(
    paths, losses, *, target="y", prediction="p", weight=None, nan="propagate", positive=None, n_threads=None, progress=None,
    chunk_rows=CHUNK_ROWS,
):  # fmt: skip
    """The costs of predictions in files, as one data set, in bounded memory. Returns an Evaluation.

    paths       a file, a pattern or a list of them: .npy, .npz, .parquet, .csv, .tsv. An empty list if every column is a file
    losses      a loss or a list of them: names as "huber:delta=2", or configured losses
    target, prediction, weight
                names of columns: of a table, of members (.npz), of fields or "0", "1", ... (.npy); or the path of a 1-D .npy file
    nan         "propagate", "skip" or "raise": what a NaN loss does. A missing value is an error, except with "skip", where it is a NaN
    positive    label of the positive class: the target is then ``column == positive``, for columns of numbers, bool or text. That no
                target equals it is an error where targets are text, because it may be mistyped, and else a note
    n_threads   as in State.update
    progress    called as progress(rows done, rows in all or None where a file does not tell)
    chunk_rows  rows read at a time; the costs do not depend on it

    Raises SourceError if a file, column or label is not there or cannot serve, DataError if the data is bad: both are ValueErrors.
    Rows in messages are counted from 0 within their file.
    """
    started = time.perf_counter()
    losses = [losses] if not isinstance(losses, list | tuple) else list(losses)
    if any(isinstance(loss, os.PathLike) or (isinstance(loss, str) and Path(loss).suffix.lower() in FORMATS) for loss in losses):
        raise TypeError(f"`losses` names a file; the order is evaluate_files(paths, losses), got {paths!r} as paths, {losses!r} as losses")
    state = fl.State(losses, nan=nan)
    names = {"y_true": target, "y_pred": prediction} | ({} if weight is None else {"sample_weight": weight})
    parts = plan(paths, names, positive)
    known = [source.rows for source, _ in parts]
    total = None if None in known else sum(known)
    rows, positives, files = 0, 0, []
    for source, wants in parts:
        here = 0
        with closing(source.chunks(wants, chunk_rows)) as chunks:
            for chunk in chunks:
                arguments = prepare(chunk, source, wants, nan)
                try:
                    state.update(**arguments, n_threads=n_threads)
                except fl.InputError as error:
                    raise explained(error, source, wants, chunk) from error
                here += chunk.rows
                positives += positive is not None and np.count_nonzero(arguments["y_true"] == 1)  # NaN where all targets are missing
                if progress is not None:
                    progress(rows + here, total)
        rows += here
        files += [{"path": part.path, "rows": here, "bytes": part.size} for part in getattr(source, "parts", (source,))]
    if not rows:
        raise DataError(f"there are no rows in {', '.join(file['path'] for file in files[:5])}")
    if positive is not None and not positives:
        refuse_text_without(positive, parts)
    try:
        results = tuple(state.results())
    except ValueError as error:  # nothing to divide by: weights that are all 0, rows that are all skipped
        raise DataError(str(error)) from error
    notes = (f"no target equals the positive label {positive!r}",) if positive is not None and not positives else ()
    return Evaluation(
        results, rows, tuple(files), sum(file["bytes"] for file in files), time.perf_counter() - started,
        {"target": target, "prediction": prediction, "weight": weight}, notes, state,
    )  # fmt: skip


def refuse_text_without(positive, parts):
    """SourceError with some of the labels that there are, if targets are text: what occurs nowhere is more likely mistyped than absent."""
    found, texts = set(), [(source, wants) for source, wants in parts if isinstance(wants[0].label, str)]
    for source, wants in texts:
        with closing(source.chunks([replace(wants[0], label=AS_TEXT), *wants[1:]], CHUNK_ROWS)) as chunks:
            chunk = next(chunks, None)
        if chunk is not None and not (chunk.nulls[0] is not None and chunk.nulls[0].all()):
            found |= {value.decode(errors="replace") if isinstance(value, bytes) else str(value) for value in np.unique(chunk.arrays[0])}
        if len(found) > LABELS_SHOWN:
            break
    if texts:
        name = texts[0][1][0].name
        near = get_close_matches(str(positive), found, n=1)
        shown = ", ".join(map(repr, sorted(found)[:LABELS_SHOWN])) + ", ..." * (len(found) > LABELS_SHOWN)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise SourceError(f"no target in column {name!r} equals the positive label {positive!r}; labels found: {shown or 'none'}{hint}")


def prepare(chunk, source, wants, nan):
    """The arguments of State.update for a chunk. Missing values: DataError, or with "skip" a NaN prediction, whichever column lacks it."""
    arguments = {want.role: array for want, array in zip(wants, chunk.arrays, strict=True)}
    if arguments["y_pred"].dtype == bool:
        arguments["y_pred"] = arguments["y_pred"].view(np.uint8)
    hidden = None
    for want, nulls in zip(wants, chunk.nulls, strict=True):
        if nulls is None:
            continue
        if nan != "skip":
            message = f'column {want.name!r} has a missing value; fill it in the file, or leave such rows out with nan="skip" (--nan skip)'
            raise DataError(message, path_of(source, want), chunk.first + int(nulls.argmax()), want.name)
        hidden = nulls if hidden is None else hidden | nulls
    if hidden is not None:
        p = arguments["y_pred"]
        arguments["y_pred"] = np.where(hidden, np.asarray(np.nan, p.dtype if p.dtype.kind == "f" else np.float64), p)
        if "sample_weight" in arguments:
            arguments["sample_weight"] = np.where(hidden, 0, arguments["sample_weight"])
    return arguments


def path_of(source, want):
    return source.path_of(want.name) if hasattr(source, "path_of") else source.path


def explained(error, source, wants, chunk):
    """The engine's InputError as a DataError in terms of files: column, row within the file, and a remedy."""
    if error.argument == "loss":
        message = f'`{error.loss}` is NaN; leave such rows out with nan="skip" (--nan skip)'
        return DataError(message, path_of(source, wants[1]), chunk.first + error.index, wants[1].name)
    want = next(want for want in wants if want.role == error.argument)
    value = error.value if want.label is None else bool(error.value)
    message = f"column {want.name!r}{f' of {error.loss}' if error.loss else ''} must be {error.allowed}, got {value!r}"
    remedy = f"; {error.remedy}" if error.remedy else ""
    if want.role == "y_true" and error.loss and find(error.loss.partition(":")[0]).family == "binary" and want.label is None:
        # what can be done to files rather than to arrays
        remedy = "; if it holds labels, name the positive one, as positive=1 (--positive 1)"
    return DataError(message + remedy, path_of(source, want), chunk.first + error.index, want.name)
