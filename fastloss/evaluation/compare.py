"""Two sets of predictions of the same samples, in files."""

import os
import time
from contextlib import closing
from dataclasses import dataclass

import numpy as np

import fastloss as fl
from fastloss.evaluation import columns
from fastloss.evaluation.errors import DataError, SourceError
from fastloss.evaluation.keys import Keyed
from fastloss.evaluation.plan import expand
from fastloss.evaluation.rows import RowTask
from fastloss.evaluation.run import CHUNK_ROWS
from fastloss.evaluation.segmented import Segmented
from fastloss.evaluation.sides import PAIR_BY_KEY, Lending, Remembering, Side, borrows_target, by_row, of_same_files
from fastloss.evaluation.singles import SingleTask, refuse_text_without
from fastloss.evaluation.source import STANDARD_INPUT, is_file
from fastloss.evaluation.stores import in_stores

NOT_BOTH = "standard input can be one of the two only"


@dataclass(frozen=True)
class FileComparison(fl.Comparison):
    """A Comparison (results, rows, segments, worst, [], regressions) of files, and

    files_a, files_b  ({"path", "rows", "bytes"}, ...) in the order in which they were read; files_b is empty where A and B are columns of
                      the same files
    columns           {"target", "prediction", "against", "weight", "key"}, as they were asked for
    classes           names of the classes in the order of the predictions' columns, where they are known, else None
    by                the columns of the segments
    unmatched_a, unmatched_b  rows that were left out because the other side has none of their key (``inner``)
    notes             what the user should know besides, as sentences
    bytes_read, seconds       size of the files; wall clock
    """

    files_a: tuple
    files_b: tuple
    columns: dict
    classes: tuple | None
    by: tuple
    unmatched_a: int
    unmatched_b: int
    notes: tuple
    bytes_read: int
    seconds: float

    def class_name(self, label):
        """The name of a class number, if it has one."""
        return label if self.classes is None else self.classes[label]

    def __str__(self):
        """The tables that the command line prints."""
        return fl.text_of(self).rstrip()

    def write_html(self, path):
        """Write it as one HTML file that needs nothing else, under 500 kB: see fl.write_html."""
        fl.write_html(self, path)


@in_stores
def compare_files(
    a, b, losses, *, target="y", prediction="p", against=None, weight=None, key=None, inner=False, nan="propagate", positive=None,
    classes=None, by=None, max_segments=10_000, worst=0, bootstrap=0, seed=0, confidence=0.95, n_threads=None, progress=None,
    chunk_rows=CHUNK_ROWS, format=None,
):  # fmt: skip
    """Two sets of predictions of the same samples, A and B: costs, difference and how sure it is. Returns a FileComparison.

    a, b, storage_options  files, as of fl.evaluate_files; b None: both are columns of the files ``a``
    losses      a loss or a list of them
    target, weight  columns of A, as of fl.evaluate_files. If B has the column of the targets, too, they must be the same; where one side
                has them in float32 or float16, to that precision. B's weights are not looked at
    prediction, against  columns of the predictions of A and of B; ``against`` None: of the same name
    key         None: row i of A goes with row i of B, both in one pass, in memory of some chunks, and of a row group of each Parquet file.
                A column, or a list of them, of text, integers, bools or dates, that both have: rows whose keys are equal go together. No
                key may come twice. Rows are those of A, in its order. It takes memory: both sides' keys, tens of bytes a row, and all that
                is read of B's predictions and targets; A is read twice
    inner       rows whose key the other side lacks are left out and counted, and not an error
    by, max_segments  columns of A: the same by segment (without bootstrap), with p-values also adjusted for their number
    worst       so many samples whose losses differ most, with both places
    bootstrap   so many replicates of a Poisson bootstrap of pairs, whose draws ``seed`` and the number of the pair decide
    confidence  of intervals
    nan         "propagate", "skip" (a pair of which either loss is NaN, or a value is missing, is left out and counted) or "raise"
    positive, classes, n_threads, progress, chunk_rows, format  as of fl.evaluate_files

    Losses that are computed from sums over all samples (dice, tversky) have costs, a difference, and an interval by bootstrap, but nothing
    of single samples: no standard error, signs or worst. Raises SourceError and DataError, as fl.evaluate_files.
    """
    started, same = time.perf_counter(), b is None
    losses = [losses] if not isinstance(losses, list | tuple) else list(losses)
    if same and (against is None or against == prediction):
        which = "name the other prediction in it" if against is None else f"{against!r} is the prediction of A; name another for B"
        raise SourceError(f"one set of files is given: {which}, against=... (--against), or give a second set")
    if inner and key is None:
        raise SourceError("`inner` goes with `key`: row by row, there are no rows without a partner")
    segmented = Segmented(by, max_segments)
    try:
        paired = fl.Paired(
            losses, nan, segments=segmented.most * bool(segmented.names), worst=worst, bootstrap=bootstrap, seed=seed, confidence=confidence
        )
    except ValueError as error:
        raise SourceError(str(error)) from error
    against = prediction if against is None else against
    asked = {"target": target, "prediction": prediction, "against": against, "weight": weight}
    first, second = sides(paired, a, b, asked, positive, classes, segmented, format, chunk_rows)
    keyed = Keyed(first, second, columns.named("key", key), inner) if key is not None else None
    pairs = keyed.pairs() if keyed else of_same_files(first, second) if same else by_row(first, second)
    positives, total = 0, first.rows
    with closing(pairs) as found:
        for halves in found:
            arguments = update(paired, *halves, n_threads)
            positives += positive is not None and np.count_nonzero(arguments["y_true"] == 1)
            if progress is not None:
                progress(paired.n, total)
    return finished(paired, first, second, keyed, same, positive, positives, asked | {"key": columns.named("key", key)}, started)


def sides(paired, a, b, asked, positive, classes, segmented, format, most):
    """(Side A, Side B)."""
    target, prediction, against, weight = asked.values()
    state, same = paired.states[0], b is None
    make = RowTask if state.rows else SingleTask
    if not same and STANDARD_INPUT in expand(a) and STANDARD_INPUT in expand(b):
        raise SourceError(NOT_BOTH)
    given = {"y_true": target, "y_pred": prediction} | ({} if weight is None else {"sample_weight": weight})
    reading = Remembering(format)
    first = Side(make(*([state] if state.rows else []), a, given, positive, classes, segmented.names, reading), most, segmented)
    lender, wants = next(((source, wants) for source, wants in first.parts if wants), (None, None))
    if wants is None:
        raise DataError(f"there are no rows in {first.name()}")
    targets = [want.name for want in wants if want.role == "y_true"]
    given = given | {"y_pred": against, "y_true": targets if len(targets) > 1 else targets[0]}
    weights = None if weight is None else os.fspath(weight)
    lending = Lending(format, lender, targets, weights, reading.sources if same else None)
    names = [name for one in given.values() for name in (one if isinstance(one, list) else [one])]
    alone = all(isinstance(name, str | os.PathLike) and is_file(os.fspath(name)) for name in names)  # of B, no column is in A's files
    paths = b if not same else [] if alone else a
    try:
        second = Side(make(*([paired.states[1]] if state.rows else []), paths, given, positive, classes, (), lending), most)
    except SourceError as error:
        raise SourceError(str(error).replace(columns.given_as("y_pred"), "; name the prediction of B: against=... (--against)")) from error
    agree(first, second, wants)
    return first, second


def agree(first, second, wants):
    """SourceError unless both sides mean the same classes."""
    theirs = next((others for _, others in second.parts if others), None)
    if theirs is None:
        raise DataError(f"there are no rows in {second.name()}")
    if first.width != second.width:
        raise SourceError(f"the prediction of {first.name()} has {first.width} columns, and that of {second.name()} {second.width}")
    mine, others = ([want for want in side if want.role == "y_true"] for side in (wants, theirs))
    labels = [[(want.label, want.places) for want in side if isinstance(want.label, tuple) or want.places] for side in (mine, others)]
    if labels[0] != labels[1] or first.task.classes != second.task.classes:
        known = [columns.shown(side.task.classes or ("0 to C - 1",)) for side in (first, second)]
        remedy = "list them in the order of the predictions' columns: classes=[...] (--classes a,b,c)"
        raise SourceError(f"the classes of {first.name()} are {known[0]}, and those of {second.name()} {known[1]}; {remedy}")


def update(paired, first, second, n_threads):
    """Take a pair of Halves; returns the arguments of State.update of A."""
    taken = [one.side.task.update(state, one.chunk, one.source, one.wants, n_threads) if one.rows is None else
             located(state, one, n_threads) for state, one in zip(paired.states, (first, second), strict=True)]  # fmt: skip
    (mine, lost), (theirs, missing) = taken
    if not borrows_target(second.side.parts[second.number][0]):
        refuse_other_targets(first, second, *taken)
    segments = {} if first.codes is None else {"keys": first.keys, "codes": first.codes}
    paired.update(mine | (lost or {}), theirs | (missing or {}), **segments, places=(first.place, second.place), n_threads=n_threads)
    return mine


def located(state, half, n_threads):
    """Task.update with errors that name the rows of the file where those of the Half are not in order."""
    try:
        return half.side.task.update(state, half.chunk, half.source, half.wants, n_threads)
    except DataError as error:
        if error.row is None:
            raise
        number, row = half.place(error.row)
        path = half.side.parts[number][0].path if error.path == half.source.path else error.path
        message = str(error).removeprefix(f"{error.path}, row {error.row}: ")
        raise DataError(message, path, row, error.column) from error


def refuse_other_targets(first, second, mine, theirs):
    """DataError for the first sample of which A and B have different targets."""
    (mine, lost), (theirs, missing) = mine, theirs
    count = first.chunk.rows
    blank = [blanks(half, there, count) for half, there in ((first, lost), (second, missing))]
    wrong = blank[0] != blank[1]
    if not wrong.any():
        y, other = (whole(given["y_true"], there, count) for given, there in ((mine, lost), (theirs, missing)))
        if y.shape != other.shape:
            raise SourceError(f"the targets of {first.side.name()} and {second.side.name()} differ in width")
        wrong = unequal(y, other) & ~blank[0]
        if not wrong.any():
            return
        i = int(wrong.argmax())
        values = " and ".join(repr(array[i].tolist()) for array in (y, other))
        what = f"the targets of A and B differ, {values}"
    else:
        i = int(wrong.argmax())
        what = f"the target is missing in {'A' if blank[0][i] else 'B'} alone"
    (a, row_a), (b, row_b) = first.place(i), second.place(i)
    paths = first.side.parts[a][0].path, second.side.parts[b][0].path
    name = next(want.name for want in first.wants if want.role == "y_true")
    remedy = f"; {PAIR_BY_KEY}" if first.rows is None else ""
    raise DataError(f"column {name!r}: {what} (B: {paths[1]}, row {row_b}){remedy}", paths[0], row_a, name)


def blanks(half, there, count):
    """Which samples have no target."""
    lost = np.zeros(count, bool)
    if there is not None:
        lost[:] = True
        lost[there["kept"]] = False
    for want, nulls in zip(half.wants, half.chunk.nulls, strict=True):
        if want.role == "y_true" and nulls is not None:
            lost |= nulls
    return lost


def whole(target, there, count):
    """A target for each sample: an array of one or two dimensions."""
    array = np.stack(target, axis=1) if isinstance(target, list) else np.asarray(target)
    if there is None:
        return array
    full = np.zeros((count, *array.shape[1:]), array.dtype)
    full[there["kept"]] = array
    return full


def unequal(a, b):
    """Which rows of two arrays differ, in the precision of the coarser; NaN are equal."""
    if a.dtype.kind == b.dtype.kind == "f" and a.dtype != b.dtype:
        coarser = min(a.dtype, b.dtype, key=lambda dtype: dtype.itemsize)
        a, b = a.astype(coarser), b.astype(coarser)
    found = (a != b) & ~((a != a) & (b != b))
    return found.any(axis=1) if found.ndim > 1 else found


def finished(paired, first, second, keyed, same, positive, positives, asked, started):
    """The FileComparison."""
    unmatched = keyed.unmatched if keyed else None
    if not paired.n:
        why = "no key of the one is in the other" if keyed else "there are no rows"
        raise DataError(f"{first.name()} and {second.name()}: {why}")
    notes = [*dict.fromkeys([*first.task.notes, *second.task.notes])]
    if positive is not None and not positives:
        refuse_text_without(positive, [(source, wants) for source, wants in first.parts if wants])
        notes.append(f"no target equals the positive label {positive!r}")
    files_a, files_b = first.files(), () if same else second.files()
    result = paired.result(
        FileComparison, files_a=files_a, files_b=files_b, columns=asked, classes=first.task.classes, by=tuple(first.segments.names),
        unmatched_a=unmatched.a if unmatched else 0, unmatched_b=unmatched.b if unmatched else 0, notes=tuple(notes),
        bytes_read=sum(file["bytes"] for file in (*files_a, *files_b)), seconds=time.perf_counter() - started,
    )  # fmt: skip
    if any(one.cost_a is None for one in result.results):
        raise DataError("there is nothing to divide by: no samples, or all weights zero, or all left out as NaN")
    for samples in (result.worst or {}).values():
        for sample in samples:
            if isinstance(sample.file_a, int):  # losses that share a kernel share the samples
                sample.file_a, sample.file_b = first.parts[sample.file_a][0].path, second.parts[sample.file_b][0].path
    return result
