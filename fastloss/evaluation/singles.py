"""Chunks of single predictions as arguments of the engine, and its errors in terms of files."""

from contextlib import closing
from dataclasses import replace
from difflib import get_close_matches

import numpy as np

import fastloss as fl
from fastloss.evaluation.errors import DataError, SourceError
from fastloss.evaluation.plan import plan
from fastloss.evaluation.source import AS_TEXT, hidden_rows, path_of
from fastloss.losses import find

LABELS_SHOWN = 5
LABEL_ROWS = 2**18  # of each file, that are looked through for labels


class SingleTask:
    """What an evaluation of single predictions reads, and how that becomes arguments of State.update."""

    notes, columns, classes = (), {}, None

    def __init__(self, paths, names, positive, classes, by=(), reading=None):
        if classes is not None:
            raise SourceError("`classes` are of losses of rows; of two classes, name the positive one: positive=... (--positive)")
        self.parts = plan(paths, names, positive, by, reading)

    def chunk_rows(self, wants, most):
        return most

    def update(self, state, chunk, source, wants, n_threads):
        """Take a chunk into the state; returns the arguments of State.update, and None: every row has a target."""
        arguments = prepare(chunk, wants, hidden_rows(chunk, source, wants, state.nan))
        try:
            state.update(**arguments, n_threads=n_threads)
        except fl.InputError as error:
            raise explained(error, source, wants, chunk) from error
        return arguments, None


def prepare(chunk, wants, hidden):
    """The arguments of State.update for a chunk of single predictions; those to be skipped are NaN, whichever column lacks a value."""
    arguments = {want.role: array for want, array in zip(wants, chunk.arrays, strict=True)}
    if arguments["y_pred"].dtype == bool:
        arguments["y_pred"] = arguments["y_pred"].view(np.uint8)
    if hidden is not None:
        p = arguments["y_pred"]
        arguments["y_pred"] = np.where(hidden, np.asarray(np.nan, p.dtype if p.dtype.kind == "f" else np.float64), p)
        if "sample_weight" in arguments:
            arguments["sample_weight"] = np.where(hidden, 0, arguments["sample_weight"])
    return arguments


def explained(error, source, wants, chunk):
    """The engine's InputError as a DataError in terms of files: column, row within the file, and a remedy."""
    if error.argument == "loss":
        message = f'`{error.loss}` is NaN; leave such rows out with nan="skip" (--nan skip)'
        return DataError(message, path_of(source, wants[1].name), chunk.first + error.index, wants[1].name)
    want = next(want for want in wants if want.role == error.argument)
    value = error.value if want.label is None else bool(error.value)
    message = f"column {want.name!r}{f' of {error.loss}' if error.loss else ''} must be {error.allowed}, got {value!r}"
    remedy = f"; {error.remedy}" if error.remedy else ""
    if want.role == "y_true" and error.loss and find(error.loss.partition(":")[0]).family == "binary" and want.label is None:
        # what can be done to files rather than to arrays
        remedy = "; if it holds labels, name the positive one, as positive=1 (--positive 1)"
    return DataError(message + remedy, path_of(source, want.name), chunk.first + error.index, want.name)


def refuse_text_without(positive, parts):
    """SourceError with some of the labels that there are, if targets are text: what occurs nowhere is more likely mistyped than absent."""
    found, texts = set(), [(source, wants) for source, wants in parts if isinstance(wants[0].label, str)]
    for source, wants in texts:
        if getattr(source, "once", False):
            continue
        with closing(source.chunks([replace(wants[0], label=AS_TEXT), *wants[1:]], LABEL_ROWS)) as chunks:
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
