"""The run: chunks of files into one State of the engine."""

import os
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import fastloss as fl
from fastloss.evaluation.answers import QUANTILES, Account, answers
from fastloss.evaluation.errors import DataError, SourceError
from fastloss.evaluation.plan import Reading
from fastloss.evaluation.rows import RowTask
from fastloss.evaluation.singles import SingleTask, refuse_text_without
from fastloss.evaluation.source import FORMATS

# Enough for the engine's threads, and small enough that what was read is still in the cache when it is computed. Reading ahead in a
# thread was tried and brought nothing: 30 M rows of a 2-D .npy, mse 93 ms without and 100 with (log_loss 700 and 750), 160 and 170 ms
# from a cold disk; Parquet and CSV are decoded ahead by polars anyway. Pieces of 2**16, 2**18 and 2**20 rows differ by less than noise.
CHUNK_ROWS = 2**18


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation of files found; evaluation["mse"] is the cost of a loss, named as it was given.

    results     one per loss, as State.results() gives them: name, spec, cost, n, n_nan, n_inf, weight_sum,
                classes
    rows        rows read
    files       ({"path", "rows", "bytes"}, ...) in the order in which they were read
    bytes_read  size of those files on disk
    seconds     wall clock, from opening the first file to the results
    columns     {"target", "prediction", "weight"}: the columns as they were asked for; with losses of rows also "prediction_columns" (and
                "target_columns"): their names in order
    classes     names of the classes in the order of the prediction's columns, where they are known, else None
    notes       what the user should know besides, as sentences
    state       the State, which can be merged with others of the same losses
    left_out    ({"path", "error"}, ...): broken files that were left out, as ``keep_going`` has it; nothing of them is in any answer
    by          the columns of the segments
    segments    (Segment, ...) where ``by`` was given, in the order of their values: values (a tuple, None for one that is missing), n
                (rows), results (a SegmentCost per loss: name, cost, n, n_nan, n_inf, weight_sum; with ``spread`` standard_error and
                interval); segment["mse"] is a cost
    spread      {loss: SpreadResult}, where it was asked for: n, n_nan, min, max, quantiles, mean, std, standard_error, interval, histogram
    worst       {loss: (WorstSample, ...)}, likewise, the worst first: loss, file (its path), row, target, prediction, weight
    bootstrap   {loss: BootstrapResult}, likewise: interval, standard_error, confidence, replicates
    calibration a CalibrationResult, likewise: ece, mce, rms, bins
    analysis    the Analysis that holds segments, spread, worst, bootstrap and series, and merges as the state does; or None
    series      (Stretch, ...) where a report was asked for, in order: start and stop (rows counted over all files), n, results as of a
                segment
    """

    results: tuple
    rows: int
    files: tuple
    bytes_read: int
    seconds: float
    columns: dict
    notes: tuple
    state: object
    classes: tuple | None = None
    left_out: tuple = ()
    by: tuple = ()
    segments: tuple | None = None
    spread: dict | None = None
    worst: dict | None = None
    bootstrap: dict | None = None
    calibration: object = None
    analysis: object = None
    series: tuple | None = None

    def class_name(self, label):
        """The name of a class number, if it has one."""
        return label if self.classes is None else self.classes[label]

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

    def write_html(self, path):
        """Write all that this found as one HTML file that needs nothing else, under 500 kB: see fl.write_html."""
        fl.write_html(self, path)


def evaluate_files(
    paths, losses, *, target="y", prediction="p", weight=None, nan="propagate", positive=None, classes=None, per_class=False,
    by=None, max_segments=10_000, spread=False, quantiles=QUANTILES, worst=0, bootstrap=0, seed=0, confidence=0.95, calibration=False,
    report=False, n_threads=None, progress=None, chunk_rows=CHUNK_ROWS, format=None, keep_going=False,
):  # fmt: skip
    """The costs of predictions in files, as one data set, in bounded memory. Returns an Evaluation.

    paths       a file, a directory, a pattern (with ** for any directories) or a list of them: .parquet, .arrow (.feather, .ipc, .arrows),
                .csv, .tsv, .jsonl (.ndjson), these also as .gz or .zst, .npy, .npz, .safetensors; "-" for standard input. An empty list
                if every column is a file. The keys of directories named key=value are columns of their files
    losses      a loss or a list of them: names as "huber:delta=2", or configured losses
    target, prediction, weight
                names of columns: of a table, of members (.npz), of fields or "0", "1", ... (.npy); or the path of a 1-D .npy file.
                The prediction of a loss of rows (softmax_cross_entropy) is C columns: a pattern with one * for the class ("logit_*",
                logit_2 before logit_10), a list of names (or "a,b,c"), one column of lists, a 2-D member, or a 2-D .npy file; so is its
                target, where that is a number per class
    nan         "propagate", "skip" or "raise": what a NaN loss does. A missing value is an error, except with "skip", where it is a NaN.
                A row whose label is missing, or NaN, is of no class
    positive    label of the positive class: the target is then ``column == positive``, for columns of numbers, bool or text. That no
                target equals it is an error where targets are text, because it may be mistyped, and else a note
    classes     losses of labels: all classes in the order of the prediction's columns, a list (or "a,b,c"); columns that a pattern found by
                these very names come in that order. Without it labels are class numbers, 0 to C - 1, and labels of text are what the * of
                the prediction's pattern matched; true and false are columns of these names, if there are. Classes that are no numbers
                name class numbers where the target is one of numbers. Columns whose names a pattern found to be words, or numbers other
                than 0 to C - 1, need it, or a list of columns, where labels are numbers. ``ignore_index`` of a loss is a class number
    per_class   losses of labels: results have the cost of the rows of each label, too
    by          name of a column, or a list of them, of text, integers, bools or dates (or .npy files): the costs of the rows of each value,
                or combination of values, come besides, as exact; what is missing is a value of its own
    max_segments  more values than that are an error
    spread      the losses of single samples: extremes, ``quantiles`` (within 1 %), standard deviation, standard error of the mean and its
                normal interval of ``confidence``; of a root of a mean, those of what it is the mean of, and its own interval
    worst       so many samples of the largest losses, with file, row, target, prediction and weight; of equal losses the first
    bootstrap   so many replicates of a Poisson bootstrap (2 or more; 200 give a standard error, 1,000 an interval of ``confidence``), whose
                draws ``seed``, file and row decide. Time grows with rows times replicates
    calibration True, or a number of bins: how often predictions are right, by how sure they are (fl.Calibration): of losses of
                probabilities, or of losses of labels
    report      answer what a report shows besides (Evaluation.write_html), as far as these losses allow: spread, the 10 worst samples,
                calibration, and the costs along the rows (series)
    n_threads   as in State.update
    progress    called as progress(rows done, rows in all or None where a file does not tell)
    chunk_rows  rows read at a time, at most; the costs do not depend on it
    format      of standard input: "csv", "tsv", "jsonl", "arrow" (a stream)
    keep_going  files that are not there, broken or lack a column are left out and listed in ``left_out``; an error if none is left. Nothing
                of them is in any answer, but one whose rows turn out to be bad keeps its number, which the draws of ``bootstrap`` follow

    Raises SourceError if a file, column or label is not there or cannot serve, DataError if the data is bad: both are ValueErrors.
    Rows in messages are counted from 0 within their file.
    """
    started = time.perf_counter()
    losses = [losses] if not isinstance(losses, list | tuple) else list(losses)
    if any(isinstance(loss, os.PathLike) or (isinstance(loss, str) and Path(loss).suffix.lower() in FORMATS) for loss in losses):
        raise TypeError(f"`losses` names a file; the order is evaluate_files(paths, losses), got {paths!r} as paths, {losses!r} as losses")
    account = Account(
        lambda: fl.State(losses, nan=nan, per_class=per_class), by, max_segments, calibration,
        {"spread": spread, "quantiles": quantiles, "worst": worst, "bootstrap": bootstrap, "seed": seed, "confidence": confidence,
         "report": report},
    )  # fmt: skip
    state = account.state
    if state.columns:
        raise SourceError("average='macro' or None is of arrays of rows, and not of files; leave it at 'micro'")
    names = {"y_true": target, "y_pred": prediction} | ({} if weight is None else {"sample_weight": weight})
    asked = {"target": target, "prediction": prediction, "weight": weight}
    reading = Reading(format, keep_going)
    task = (RowTask if state.rows else SingleTask)(
        *([state] if state.rows else []), paths, names, positive, classes, account.segments.names, reading
    )
    known = [source.rows for source, _ in task.parts]
    total = None if None in known else sum(known)
    rows, positives, files, read = 0, 0, [], []
    for number, (source, wants) in enumerate(task.parts):
        own = wants if wants is None else wants[: len(wants) - len(account.segments.names)]
        here, found = 0, 0
        into = account.another() if keep_going else account  # of a file that turns out to be broken nothing may stay
        with reading.trying(source.path):
            into.segments.begin(source, wants)
            for chunk in chunks(source, wants, task.chunk_rows, chunk_rows):
                arguments = into.update(task, chunk, source, own, number, rows, n_threads)
                here += chunk.rows
                found += positive is not None and np.count_nonzero(arguments["y_true"] == 1)  # NaN where all targets are missing
                if progress is not None:
                    progress(rows + here, total)
            if into is not account:
                account.merge(into)
            rows, positives = rows + here, positives + found
            files += [{"path": part.path, "rows": here, "bytes": part.size} for part in getattr(source, "parts", (source,))]
            read.append((source, own))
    reading.refuse_none(files)
    state._samples = None  # its buffers are not wanted any more
    if not rows:
        raise DataError(f"there are no rows in {', '.join(file['path'] for file in files[:5])}")
    if positive is not None and not positives:
        refuse_text_without(positive, read)
    try:
        results = tuple(state.results())
    except ValueError as error:  # nothing to divide by: weights that are all 0, rows that are all skipped
        raise DataError(str(error)) from error
    notes = [*task.notes, *account.sure.notes]
    notes += [f"no target equals the positive label {positive!r}"] if positive is not None and not positives else []
    return Evaluation(
        results, rows, tuple(files), sum(file["bytes"] for file in files), time.perf_counter() - started, asked | task.columns,
        tuple(notes), state, task.classes, tuple({"path": os.fspath(path), "error": str(error)} for path, error in reading.left_out),
        tuple(account.segments.names), **answers(account.analysis, task.parts),
        calibration=account.sure.result(), analysis=account.analysis,
    )  # fmt: skip


def chunks(source, wants, rows, most):
    """The Chunks of a source, if it is looked at; closed when that ends."""
    if wants is not None:
        with closing(source.chunks(wants, rows(wants, most))) as found:
            yield from found
