"""Suggestions: one pass over targets and predictions, of files or of arrays, and what that says of losses."""

from contextlib import closing
from dataclasses import dataclass

import numpy as np

import fastloss as fl
from fastloss.evaluation import columns
from fastloss.evaluation.advice import facts_of, misfits, oddities, recommend
from fastloss.evaluation.advice.misfits import USUAL
from fastloss.evaluation.errors import DataError, SourceError
from fastloss.evaluation.guess import guess
from fastloss.evaluation.plan import Reading, sources_of
from fastloss.evaluation.profiled import RowRead, SingleRead, is_rows, weights_in
from fastloss.evaluation.rows import chunk_rows as rows_at_a_time
from fastloss.evaluation.singles import explained
from fastloss.evaluation.stores import in_stores

CHUNK_ROWS = 2**18
BY_WEIGHT = (
    "by weight are the balance of classes, the tails, size and bias of residuals, and the dispersion of counts; the task, labels, ranges, "
    "what cannot be computed and shares of right rows are of all rows alike"
)


@dataclass(frozen=True)
class Suggestion:
    """What suggest found.

    task         binary, proportion, counts, amounts, regression, multiclass, one-hot, multilabel, distributions, classes (labels of
                 more than two classes beside one number per row) or none (no row is complete)
    labels       of binary targets: "{0, 1}", "{-1, 1}", bool, text or other
    scores       probability, log-probability, percent, logit, score, hard (two values alone), unnormalised, mean or log; or None
    recommended  (Recommendation, ...), the best first: loss, reason, because, evidence, how
    warnings     (Misfit, ...): about (a loss, or target, prediction, data), text, remedy, evidence
    rows         rows read
    facts        {"target": {...}, "prediction": {...}, "residual": {...}}: the numbers that were measured
    files, columns, notes  as of an Evaluation; of arrays empty
    """

    task: str
    labels: str | None
    scores: str | None
    recommended: tuple
    warnings: tuple
    rows: int
    facts: dict
    files: tuple = ()
    columns: dict | None = None
    notes: tuple = ()

    def __str__(self):
        """The tables that the command line prints."""
        return fl.text_of(self).rstrip()

    @property
    def losses(self):
        """Names of what is recommended, as fl.evaluate takes them."""
        return [found.loss for found in self.recommended]


def suggest(target, prediction, losses=(), sample_weight=None):
    """Which losses fit targets and predictions, and what does not fit. Returns a Suggestion.

    target      array of N labels (text, too) or numbers, or of (N, C)
    prediction  array of N numbers, or of (N, C) scores
    losses      a loss or a list of them: the warnings are of these, instead of those that are usual for such a task
    sample_weight  None, or N numbers, finite and >= 0, not all 0. The balance of classes, the spread of targets, tails, size and bias of
                residuals, and the dispersion of counts are then by weight (facts have both). Weights do not change what the task is,
                labels, ranges and what cannot be computed, counts of missing values, the mean predictions of classes, nor shares of right
                rows: these are of all rows, those of weight 0 among them

    Raises ValueError or TypeError where arrays are not of these shapes and kinds, or empty. Nothing that is suggested depends on more than
    the numbers: what they mean, and what an error costs, it cannot know.
    """
    names = named(losses)
    y, p = (np.asarray(array) for array in (target, prediction))
    y, p = (array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array for array in (y, p))
    for name, array, most in (("target", y, 2), ("prediction", p, 2)):
        if not 1 <= array.ndim <= most or (array.ndim == 2 and array.shape[1] < 1):
            raise ValueError(f"`{name}` must be an array of shape (n,) or (n, C), got {array.shape}")
    w = None if sample_weight is None else weights_of(sample_weight, len(p))
    if len(y) != len(p) or (y.ndim == 2 and y.shape != p.shape):
        raise ValueError(f"`target` has shape {y.shape}, but `prediction` has {p.shape}; they must go together row by row")
    if not len(p):
        raise ValueError("`target` and `prediction` are empty; there is nothing to suggest from")
    y, unknown = without_objects(y)
    text = y.dtype.kind in "UST" and y.ndim == 1
    for name, array in (("prediction", p),) if text else (("target", y), ("prediction", p)):
        if array.dtype.kind in "OUSTcmMV" and array.dtype.name != "bfloat16":
            raise TypeError(f"`{name}` must be an array of numbers{' or bool' if name == 'target' else ''}, got dtype {array.dtype}")
    if text and p.ndim == 2:
        raise TypeError("`target` must be class numbers where predictions are rows: fl.encode_labels(target, classes) makes them")
    profile = fl.RowProfile(matrix=y.ndim == 2) if p.ndim == 2 else fl.Profile()
    keys = None
    if text:
        keys, y = np.unique(y.astype(str), return_inverse=True)
        keys, y = keys.tolist(), y if unknown is None else np.where(unknown, -1, y)
    for start in range(0, len(p), CHUNK_ROWS):
        here = slice(start, start + CHUNK_ROWS)
        try:
            profile.update(y[here], p[here], None if w is None else w[here], **({} if keys is None else {"keys": keys}))
        except fl.InputError as error:
            error.index += start
            raise
    return made(profile, names)


@in_stores
def suggest_files(
    paths, *, target=None, prediction=None, weight=None, losses=(), positive=None, classes=None, progress=None, chunk_rows=CHUNK_ROWS
):  # fmt: skip
    """The same of prediction files, as one data set, in one pass and bounded memory. Returns a Suggestion.

    paths, storage_options  as of evaluate_files
    target, prediction
                names of columns as of evaluate_files; what is not given is guessed by name, and told in ``notes``
    weight      name of the column of weights, which are as of suggest; none of them may be missing
    losses      as of suggest
    positive    label of the positive class, as of evaluate_files
    classes     all classes in the order of the prediction's columns, as of evaluate_files
    progress    called as progress(rows done, rows in all or None)
    chunk_rows  rows read at a time, at most; the suggestion does not depend on it

    Raises SourceError if a file or column is not there, cannot serve, or cannot be guessed; DataError if the data is bad.
    """
    losses = named(losses)
    names, notes = guess(paths, target, prediction)
    names |= {} if weight is None else {"sample_weight": weight}
    sources = sources_of(paths, [name for role in names for name in columns.listed(role, names[role])], Reading())
    probe = next((source for source in sources if source.rows != 0), sources[0])
    rows, matrix = (is_rows(probe, role, names[role]) for role in ("y_pred", "y_true"))
    if rows:
        if positive is not None:
            raise SourceError("`positive` is of single predictions; rows of scores take classes=[...] (--classes a,b,c)")
        task = RowRead(paths, names, matrix, classes)
    else:
        if classes is not None:
            raise SourceError("`classes` are of rows of scores; of two classes, name the positive one: positive=... (--positive)")
        task = SingleRead(sources, names, positive)
    total = None if any(source.rows is None for source, _ in task.parts) else sum(source.rows for source, _ in task.parts)
    done, files = 0, []
    for source, wants in task.parts:
        here = 0
        if wants is not None:
            most = rows_at_a_time(wants, chunk_rows)
            task.begin()
            with closing(source.chunks(wants, most)) as chunks:
                for chunk in chunks:
                    try:
                        task.update(chunk, wants, weights_in(chunk, wants, source))
                    except fl.InputError as error:
                        raise explained(error, source, wants, chunk) from error
                    here += chunk.rows
                    if progress is not None:
                        progress(done + here, total)
        done += here
        files += [{"path": part.path, "rows": here, "bytes": part.size} for part in getattr(source, "parts", (source,))]
    if not done:
        raise DataError(f"there are no rows in {', '.join(file['path'] for file in files[:5])}")
    asked = {"target": names["y_true"], "prediction": names["y_pred"]} | ({} if weight is None else {"weight": weight})
    return made(task.profile, losses, tuple(files), asked, (*notes, *task.notes))


def weights_of(given, n):
    """Weights as an array of numbers, n of them."""
    found = np.asarray(given)
    if found.shape != (n,) or found.dtype.kind not in "fiub":
        raise ValueError(f"`sample_weight` must be {n} numbers, as many as there are rows; got shape {found.shape}, dtype {found.dtype}")
    return found


def without_objects(array):
    """(the array as numbers or text, mask of what is missing in text, or None) of an array of objects: None and NaN are missing."""
    if array.dtype.kind != "O" or array.ndim != 1:
        return array, None
    if not any(isinstance(value, str | bytes) for value in array.tolist()):
        try:
            return array.astype(np.float64), None
        except (TypeError, ValueError):
            return array, None
    unknown = np.array([value is None or value != value for value in array.tolist()])
    return np.where(unknown, "", array).astype(str), unknown


def named(losses):
    """[(registry name, parameters)] of losses. ValueError for what is none."""
    given = [fl.get(loss) for loss in (losses if isinstance(losses, list | tuple) else [losses])]
    return [(loss.definition.name, loss.parameters) for loss in dict.fromkeys(given)]


def made(profile, losses, files=(), asked=None, notes=()):
    """The Suggestion of what a profile has seen."""
    if profile.weighted and not profile.heaviest:
        raise (DataError if files else ValueError)("all weights are 0; there is nothing to weigh by")
    notes = (*notes, BY_WEIGHT) if profile.weighted else notes
    facts = facts_of(profile)
    asked_of = losses or [(loss, None) for loss in USUAL.get(facts.task, ())]
    warned = [misfit for loss, parameters in asked_of for misfit in misfits(loss, facts, parameters)]
    warnings = (*oddities(facts), *warned)
    return Suggestion(
        facts.task, facts.labels, facts.scores, tuple(recommend(facts)), warnings, facts.n, told(facts), files, asked, tuple(notes)
    )


def numbers(column):
    """The result of a Column as plain data."""
    found = {key: value for key, value in vars(column).items() if key not in ("histogram", "quantiles", "weighted")}
    return found | {"quantiles": [{"q": q, "value": value} for q, value in (column.quantiles or {}).items()]}


def told(facts):
    """The numbers of the facts as plain data."""
    found = {}
    for name, column in (("target", facts.y), ("prediction", None if facts.rows else facts.p), ("residual", getattr(facts, "e", None))):
        if column is not None and (column.n or column.n_null or column.n_nan or column.n_inf):
            found[name] = numbers(column)
            if column.weighted is not None:
                found[name]["weighted"] = numbers(column.weighted)
    if facts.known is not None and len(facts.known) <= 100:
        found.setdefault("target", {})["values"] = [{"value": value, "rows": count} for value, (count, _) in facts.known.items()]
    if facts.tails is not None:
        found["tails"] = vars(facts.tails)
    if facts.rows:
        for name, scores in (("target_rows", facts.y_rows), ("prediction_rows", facts.p_rows)):
            if scores is not None:
                found[name] = {key: getattr(scores, key) for key in (*scores.COUNTS, "min", "max")}
        found["prediction_rows"]["width"] = facts.width
    return found
