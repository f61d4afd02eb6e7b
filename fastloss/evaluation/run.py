"""The run: chunks of files into one State of the engine."""

import os
import time
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import fastloss as fl
from fastloss.evaluation.answers import QUANTILES, answers, of_report
from fastloss.evaluation.errors import DataError, RequestError, SourceError
from fastloss.evaluation.locked import locked
from fastloss.evaluation.outputs import Output
from fastloss.evaluation.part import Part, Piece, count
from fastloss.evaluation.saved import EVERY, Keeper, resumed
from fastloss.evaluation.shards import shares
from fastloss.evaluation.singles import refuse_text_without
from fastloss.evaluation.source import FORMATS
from fastloss.evaluation.stores import in_stores
from fastloss.evaluation.stores import options as storage
from fastloss.evaluation.work import Work, refuse_inside, refuse_over, refuse_standard_input

# Enough for the engine's threads, and small enough that what was read is still in the cache when it is computed. Reading ahead in a
# thread was tried and brought nothing: 30 M rows of a 2-D .npy, mse 93 ms without and 100 with (log_loss 700 and 750), 160 and 170 ms
# from a cold disk; Parquet and CSV are decoded ahead by polars anyway. Nor did threads that each read and count stretches of a file, on a
# machine that others used: 45 ms instead of 48, of 33 M rows of two float32 columns (mse), and 68 instead of 69 of an .npz (log_loss).
# Pieces of 2**16, 2**18 and 2**20 rows differ by less than noise.
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
    shard       None, or (i, n): these are the answers of that part of the files alone; results are () if there is nothing to divide by
    resumed     rows that were counted before, by a run that was ended
    missing     None, or of a merge of not all shards what it lacks: {"text": a sentence, "shards": ["2/3", ...], "rows": ({"path", "first",
                "stop"}, ...)}, stop None for the end of a file
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
    shard: tuple | None = None
    resumed: int = 0
    series: tuple | None = None
    missing: dict | None = None

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

    def __str__(self):
        """The tables that the command line prints."""
        return fl.text_of(self).rstrip()

    def write_html(self, path):
        """Write all that this found as one HTML file that needs nothing else, under 500 kB: see fl.write_html."""
        fl.write_html(self, path)


@in_stores
def evaluate_files(
    paths, losses, *, target="y", prediction="p", weight=None, nan="propagate", positive=None, classes=None, per_class=False,
    by=None, max_segments=10_000, spread=False, quantiles=QUANTILES, worst=0, bootstrap=0, seed=0, confidence=0.95, calibration=False,
    report=False, n_threads=None, progress=None, chunk_rows=CHUNK_ROWS, format=None, keep_going=False,
    state=None, save_every=EVERY, shard=None, engine=None, output=None, gradients=False,
):  # fmt: skip
    """The costs of predictions in files, as one data set, in bounded memory. Returns an Evaluation.

    paths       a file, a directory, a pattern (with ** for any directories) or a list of them: .parquet, .arrow (.feather, .ipc, .arrows),
                .csv, .tsv, .jsonl (.ndjson), these also as .gz or .zst, .npy, .npz, .safetensors; "-" for standard input. An empty list
                if every column is a file. The keys of directories named key=value are columns of their files.
                Addresses (s3://, gs://, az://, abfss://, https://) of Parquet, Arrow, CSV and JSON lines are read where they are, through
                polars; a directory ends with /, and https:// has neither directories nor patterns. Sizes are 0 where a store does not
                tell them
    storage_options  {name: text} for addresses, as of polars.scan_parquet; without it, credentials are those of the environment. Never
                saved, nor sent to the workers of an ``engine``
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
                calibration, and the costs along the rows (series); with a state or an engine without calibration and series
    n_threads   as in State.update
    progress    called as progress(rows done, rows in all or None where a file does not tell)
    chunk_rows  rows read at a time, at most; the costs do not depend on it
    format      of standard input: "csv", "tsv", "jsonl", "arrow" (a stream)
    keep_going  files that are not there, broken or lack a column are left out and listed in ``left_out``; an error if none is left. Nothing
                of them is in any answer, but one whose rows turn out to be bad keeps its number, which the draws of ``bootstrap`` follow
    state       path of a file that holds how far it came: written every ``save_every`` seconds, and at the end. If it is there already, the
                run goes on from it, and ends with the same bits as one that was never ended. Other questions, another version of
                fastloss, or files that were changed meanwhile are an error (in a store, a change is noticed by rows, columns and their
                first 1,024 rows); so is a state that another process is writing. One that was begun with spread, worst, bootstrap or
                calibration goes on with them, though they are not asked for. Text is read again up to the row where it goes on; what has
                rows of one size, or a directory of them, is not. Ctrl-C saves when the chunk is counted, before KeyboardInterrupt;
                twice, it does not wait
    shard       (i, n), 1 <= i <= n: count the i-th of n like parts of the work, and save it to ``state``, for merge_states. Files that
                tell how many rows they have are cut; others, and all with keep_going, are not
    engine      who counts: "dask", for processes of Dask on this machine (in a script below ``if __name__ == "__main__":``, because they
                import it); a distributed.Client, or the address of its scheduler; a SparkSession, or "spark" for the one that is there.
                Same bits as without. Workers must have this version of fastloss and see the files under the same paths. They count
                large files in pieces, but text file by file. ``n_threads`` is how many threads "dask" has in all; else how many each
                piece is counted by, 1 if it is not given, as a worker takes as many pieces at a time as it has threads or cores. Not
                together with ``state``
    output      path of a file, .parquet or .npy, for the losses of single samples, in order: columns file and row (Parquet alone) and
                loss_NAME of each loss, without weights; .npy is an array if that is one, else one of records. Of a root of a mean, what it
                is the mean of; NaN where the label is missing. Numbers are of the type of the first rows' losses. The file is there when
                all of it is, and not before; it must be none of those that are evaluated, nor lie in a directory of them
    gradients   with ``output``: also gradient_NAME, the derivative of each loss by the prediction (or by each score of a row)

    Raises SourceError if a file, column or label is not there or cannot serve, DataError if the data is bad: both are ValueErrors.
    Rows in messages are counted from 0 within their file.
    """
    started = time.perf_counter()
    losses = [losses] if not isinstance(losses, list | tuple) else list(losses)
    if any(isinstance(loss, os.PathLike) or (isinstance(loss, str) and Path(loss).suffix.lower() in FORMATS) for loss in losses):
        raise TypeError(f"`losses` names a file; the order is evaluate_files(paths, losses), got {paths!r} as paths, {losses!r} as losses")
    numbers = () if shard is None else shard_numbers(shard)
    if shard is not None and state is None:
        raise RequestError("a shard is saved to be merged with the others: give a file for it, too, state=... (--state)")
    if state is not None:
        refuse_standard_input(paths)
        refuse_inside(paths, state)
    alone = state is None and engine is None
    if not alone and output is not None:
        raise RequestError("losses are written in one go: `output` (--output) goes neither with a state or shards nor with an engine")
    if output is not None:
        refuse_inside(paths, output, "output")
    if not alone and report:
        spread, worst, _ = of_report(fl.State(losses), spread, worst, calibration)
    asked = {
        "losses": losses, "target": target, "prediction": prediction, "weight": weight, "nan": nan, "positive": positive,
        "classes": classes, "per_class": per_class, "by": by, "max_segments": max_segments, "spread": spread, "quantiles": quantiles,
        "worst": worst, "bootstrap": bootstrap, "seed": seed, "confidence": confidence, "calibration": calibration,
        "keep_going": keep_going, "report": report and alone,
    }  # fmt: skip
    options = {"progress": progress, "n_threads": n_threads, "chunk_rows": chunk_rows}
    if engine is not None:
        if storage.get() is not None:
            raise RequestError("`storage_options` are not sent to an engine's workers; give these credentials in their environment")
        if state is not None:
            raise RequestError("`engine` does not go with `state`: its workers keep no state that could be resumed")
        from fastloss.evaluation.engines import evaluate_on

        return evaluate_on(engine, paths, asked, **options)
    work = Work(paths, asked, format)
    pieces = [Piece(number) for number in range(len(work.parts))]
    if state is None:
        with written(output, gradients, work, keep_going) as work.account.output:
            part = count(work, work.reading, Part(work.account), pieces, **options)
            work.reading.refuse_none([*part.covered.ranges, *part.covered.ends])
            return finished(part, asked, work.described(), started, work.parts)
    with locked(state):
        return kept(work, state, save_every, numbers, started, **options)


def kept(work, state, every, shard, started, **options):
    """The Evaluation of a Work whose state is saved. shard: (i, n), or ()."""
    asked, pieces, own = work.asked, [Piece(number) for number in range(len(work.parts))], None
    document = work.document()
    if shard:
        i, n = shard
        pieces = own = shares(document["plan"]["files"], n, whole=asked["keep_going"])[i - 1]
    saved = resumed(state, document, [shard] if shard else [], own)
    keeper = Keeper(saved, every)
    before = sum(part.covered.total for part in (saved.part, saved.opened) if part is not None)
    with keeper.interruptions():
        count(work, work.reading, saved.part, pieces, opened=saved.opened, saved=keeper, **options)
        saved.opened = None
        saved.write()
    found = finished(saved.part, asked, document["plan"], started, work.parts, shard=shard or None, resumed=before)
    return asked_for(found, asked)


def asked_for(found, asked):
    """An Evaluation without what a state was begun with, and this run did not ask for."""
    less = {name: None for name in ("spread", "bootstrap", "calibration") if not asked[name]}
    for segment in (found.segments or ()) if found.spread and not asked["spread"] else ():
        for result in segment.results:
            result.standard_error = result.interval = None
    worst = {name: samples[: asked["worst"]] for name, samples in (found.worst or {}).items()} if asked["worst"] else None
    return replace(found, worst=worst, **less)


def written(output, gradients, work, keep_going):
    """A context of an Output, or of None."""
    if output is None:
        if gradients:
            raise RequestError("`gradients` are written to a file: give it, too, output=... (--output)")
        return nullcontext()
    if keep_going:
        raise RequestError("`output` does not go with keep_going (--keep-going): rows of a file that breaks later would be in it")
    refuse_over(work, output)
    return Output(output, work.account.state, gradients)


def shard_numbers(shard):
    """(i, n) of the argument ``shard``."""
    try:
        i, n = shard
    except (TypeError, ValueError):
        i = n = None
    if not all(type(number) is int for number in (i, n)) or not 1 <= i <= n:
        raise RequestError(f"`shard` must be (i, n), integers with 1 <= i <= n, got {shard!r}")
    return i, n


def finished(part, asked, plan, started, parts=(), shard=None, missing=None, resumed=0):
    """The Evaluation of what was counted. plan: as Work.described; parts: (Source, wants) of its files, if they are there; shard, missing:
    it is not the whole, and may be nothing."""
    partly = shard is not None or missing is not None
    account, covered = part.account, part.covered
    state = account.state
    state._samples = None  # its buffers are not wanted any more
    numbers = sorted({*covered.ranges, *covered.ends} - set(covered.left_out))
    files = [{**file, "rows": covered.rows(i)} for i in numbers for file in plan["files"][i]["files"]]
    files = [{name: file[name] for name in ("path", "rows", "bytes")} for file in files]
    paths, rows = [entry["files"][0]["path"] for entry in plan["files"]], covered.total
    if not numbers and covered.left_out and not partly:
        error, bad = covered.left_out[min(covered.left_out)]
        raise (DataError if bad else SourceError)(error)
    if not rows and not partly:
        raise DataError(f"there are no rows in {', '.join(file['path'] for file in files[:5])}")
    notes, positive = list(plan["notes"]), asked["positive"]
    if positive is not None and not part.positives and not partly:
        refuse_text_without(positive, [parts[i] for i in numbers] if parts else [])
        if plan["text"]:
            raise SourceError(f"no target in column {asked['target']!r} equals the positive label {positive!r}")
        notes.append(f"no target equals the positive label {positive!r}")
    results, calibration = (), None
    try:
        results = tuple(state.results())
        calibration = account.sure.result()
    except ValueError as error:  # nothing to divide by: weights that are all 0, rows that are all skipped
        if not partly:
            raise error if isinstance(error, DataError) else DataError(str(error)) from error
    left_out = [*plan["left_out"], *((paths[i], error) for i, (error, _) in sorted(covered.left_out.items()))]
    notes += account.sure.notes
    return Evaluation(
        results, rows, tuple(files), sum(file["bytes"] for file in files), time.perf_counter() - started, plan["columns"], tuple(notes),
        state, plan["classes"] and tuple(plan["classes"]), tuple({"path": path, "error": error} for path, error in left_out),
        tuple(account.segments.names), **answers(account.analysis, paths), calibration=calibration, analysis=account.analysis, shard=shard,
        resumed=resumed, missing=missing,
    )  # fmt: skip
