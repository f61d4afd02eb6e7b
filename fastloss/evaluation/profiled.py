"""What suggestions read of files, chunk by chunk into a Profile: targets, predictions and weights."""

import os

import numpy as np

import fastloss as fl
from fastloss.evaluation.errors import DataError, SourceError
from fastloss.evaluation.npy import places
from fastloss.evaluation.plan import RowPlan, resolve
from fastloss.evaluation.rows import together
from fastloss.evaluation.segments import Values
from fastloss.evaluation.source import AS_SEGMENT, Want, is_file, path_of, place_of

LABELS = 10_000  # different texts of a target; more are no labels


def is_rows(source, role, given):
    """Whether a role's name means rows of numbers."""
    if not isinstance(given, str | os.PathLike):
        return True
    name = os.fspath(given)
    if name in source.names:
        return source.column(name).width is not None
    return not is_file(name) and ("*" in name or "," in name)


def weights_in(chunk, wants, source):
    """The weights of a chunk, or None; DataError for one that is missing."""
    for want, array, nulls in zip(wants, chunk.arrays, chunk.nulls, strict=True):
        if want.role == "sample_weight":
            if nulls is not None and nulls.any():
                row = chunk.first + int(nulls.argmax())
                raise DataError(f"column {want.name!r} must be finite and >= 0, and is missing", path_of(source, want.name), row, want.name)
            return array
    return None


class SingleRead:
    """Single predictions, chunk by chunk into a Profile. A target of text is read as it is."""

    notes = ()

    def __init__(self, sources, names, positive):
        self.profile, self.texts, self.parts = fl.Profile(), None, []
        kinds = {}
        for source in sources:
            name = os.fspath(names["y_true"])
            kind = source.column(name).kind if name in source.names else None
            if kind == "text" and positive is None:
                want = Want("y_true", name, label=AS_SEGMENT)
                self.texts = self.texts or Values(f"{place_of(source, name)} has", LABELS)
            else:
                want = resolve(source, "y_true", name, positive)
            kinds[want.label is AS_SEGMENT] = source.path
            if len(kinds) > 1:
                raise SourceError(f"column {name!r} holds text in {kinds[True]}, but numbers in {kinds[False]}")
            others = [resolve(source, role, os.fspath(name), None) for role, name in names.items() if role != "y_true"]
            self.parts.append((source, [want, *others]))

    def begin(self):
        if self.texts is not None:
            self.texts.given = np.zeros(0, np.intp)  # a file has codes of its own

    def update(self, chunk, _wants, weights):
        (target, prediction), nulls = chunk.arrays[:2], chunk.nulls[:2]
        if self.texts is None:
            self.profile.update(target, prediction, weights, nulls=nulls)
            return
        try:
            codes = self.texts.of(target, nulls[0])
        except SourceError as error:
            raise SourceError(f"{self.texts.what} more than {LABELS} different texts, which are no labels") from error
        missing = self.texts.codes.get(None)
        codes = codes if missing is None else np.where(codes == missing, -1, codes)
        self.profile.update(codes, prediction, weights, keys=self.texts.values, nulls=nulls)


class RowRead:
    """Rows of scores, chunk by chunk into a RowProfile."""

    def __init__(self, paths, names, matrix, classes):
        found = RowPlan(paths, names, not matrix, classes)
        self.parts, self.notes, self.profile = found.parts, tuple(found.notes), fl.RowProfile(matrix)

    def begin(self):
        pass

    def update(self, chunk, wants, weights):
        sides, masks = [], []
        for role in ("y_true", "y_pred"):
            mine = [(want, array, lost) for want, array, lost in zip(wants, chunk.arrays, chunk.nulls, strict=True) if want.role == role]
            arrays = [array if want.places is None else places(array, np.array(want.places)) for want, array, _ in mine]
            side = together(arrays)
            sides.append(np.stack(side, axis=1) if isinstance(side, list) else side)
            lost = [mask for _, _, mask in mine if mask is not None]
            masks.append(np.logical_or.reduce(lost) if lost else None)
        self.profile.update(*sides, weights, nulls=tuple(masks))
