"""Calibration: are predictions right as often as they are sure? Sums per bin of confidence, exact as those of a State."""

import copy
import functools
import math
import numbers

import numpy as np

from fastloss.engine import inputs, rows
from fastloss.engine.calibrated import CalibrationBin, CalibrationResult
from fastloss.engine.dtypes import compute_dtype
from fastloss.engine.environment import ieee
from fastloss.engine.errors import InputError
from fastloss.engine.exact import ONE, quotient
from fastloss.engine.grouped import Grouped
from fastloss.engine.portable import count, flag, reading, sealed, unsealed
from fastloss.engine.rowinputs import Columns, is_column, matrix, opened, plain
from fastloss.engine.run import NAN_POLICIES
from fastloss.engine.samples import Sample
from fastloss.engine.specs import class_of
from fastloss.losses import REGISTRY, ROW_FUNCTIONS

MAGIC, WHAT = b"fastloss-calibration-1 ", "fastloss calibration"
NORMS = {"l1": "ece", "l2": "rms", "max": "mce"}
SCORES, TALL = 1 << 20, 1 << 16  # of a block of rows, at most
root = ieee(math.sqrt)


@functools.lru_cache(maxsize=64)
def confidences(from_logits, ignore_index):
    """What rows go through: their confidence, negative where they are wrong."""
    return class_of(ROW_FUNCTIONS["confidence" if from_logits else "confidence_of_probabilities"])(ignore_index=ignore_index)


class Calibration:
    """Calibration of predicted probabilities, in pieces: ``Calibration().update(y, p).merge(other).compute()`` is a CalibrationResult.

    bins          how many bins of equal width [0, 1] is cut into: bin i (from 1) holds confidences (i - 1) / bins < c <= i / bins, the
                  first also 0. The ends are rounded to the dtype computed in
    from_logits   y_pred are logits: confidence is the largest softmax probability, or the sigmoid
    ignore_index  rows with this label are left out
    nan           "propagate": rows whose confidence is NaN make all results NaN; "skip": they are left out; "raise": InputError

    y_pred of C >= 2 columns (any rows that losses of rows take): confidence is the largest probability, a row is right if the first class
    that has it is its label. y_pred of one dimension: the probability of label 1 (of 0, 1 or bool), and confidence is that.
    Probabilities need not sum to 1, but each must be in [0, 1]. A NaN makes NaN, and so does a row of logits whose largest is infinite; a
    logit of -inf is a class that is not there. Of one dimension infinite logits are certain: 0 and 1.

    update and merge return the object itself. Results have the same bits for any split of the rows, order and number of threads; a failed
    update leaves it as it was. Memory: blocks of up to 65,536 rows, some numbers for each row, none for each class.
    Naeini et al. 2015 (ece, mce), Guo et al. 2017 (these bins). torchmetrics' calibration_error is the same, but for confidences that are
    an inner end of a bin: its present version counts them in the bin above, and 1 in one of its own.
    """

    def __init__(self, bins=15, *, from_logits=False, ignore_index=None, nan="propagate"):
        whole = isinstance(bins, numbers.Integral) and not isinstance(bins, bool)
        if not whole or not 1 <= bins <= 100_000:
            raise ValueError(f"`bins` must be a whole number from 1 to 100000, got {bins!r}")
        if nan not in NAN_POLICIES:
            raise ValueError(f"`nan` must be one of {', '.join(map(repr, NAN_POLICIES))}, got {nan!r}")
        self.bins, self.from_logits, self.nan = int(bins), bool(from_logits), nan
        try:
            self.ignore_index = confidences.__wrapped__(self.from_logits, ignore_index).ignore_index
        except ValueError as error:
            raise ValueError(str(error).replace(confidences(self.from_logits, None).name, "calibration")) from None
        self.n_nan = self.n_ignored = 0
        self._sums = Grouped(False), Grouped(False)  # of confidences and of what is right, by bin; the one after the last is outside

    def _question(self):
        return self.bins, self.from_logits, self.ignore_index, self.nan

    def _new(self):
        bins, from_logits, ignore_index, nan = self._question()
        return type(self)(bins, from_logits=from_logits, ignore_index=ignore_index, nan=nan)

    def update(self, y_true, y_pred, sample_weight=None, n_threads=None):
        """Add rows: y_true (N,) labels, y_pred (N, C) or (N,), sample_weight None, a number or (N,), finite and >= 0. Empty arrays add
        nothing. TypeError for dtypes, ValueError for shapes, InputError (naming the row) for values that are not allowed."""
        y_pred = opened("y_pred", y_pred)
        columns = isinstance(y_pred, list | tuple) and any(map(is_column, y_pred))
        scores = y_pred if columns else inputs.as_array("y_pred", y_pred)
        part, block = self._new(), self._of_rows if columns or scores.ndim > 1 else self._of_numbers
        z, y, given = self._operands(y_true, scores, columns)
        w = None if sample_weight is None else inputs.as_array("sample_weight", sample_weight)
        if w is not None and w.ndim and w.shape != given:
            raise ValueError(f"`sample_weight` has shape {w.shape}, but there must be one weight per row: {given}")
        w = w.reshape(-1) if w is not None and w.ndim else w
        height = max(1, min(TALL, SCORES // (z.shape[1] if z.ndim == 2 else 1)))
        room = np.empty(min(height, len(y)), compute_dtype(np.dtype(np.int8), z.dtype))
        for start in range(0, len(y), height):
            stop = min(start + height, len(y))
            weight = w if w is None or not w.ndim else w[start:stop]
            try:
                confidence, hit = block(z, y[start:stop], start, stop, room[: stop - start], n_threads)
                part._add(confidence, hit, y[start:stop], weight, n_threads)
            except InputError as error:
                row, *column = error.index if isinstance(error.index, tuple) else (error.index,)
                place = rows._index(start + row, given)
                index = (*(place if isinstance(place, tuple) else (place,)), *column) if column else place
                name = None if error.argument == "sample_weight" else "calibration"
                raise InputError(name, error.argument, error.allowed, error.value, index, error.remedy) from None
        return self.merge(part)

    def _operands(self, y_true, scores, columns):
        """(scores, targets, shape of the rows): of one dimension, or scores of two."""
        if columns or scores.ndim > 1:
            z = plain(matrix("y_pred", scores))
            if z.shape[1] < 2:
                raise ValueError(f"`y_pred` has shape {z.shape}; pass the one column as one dimension if it is the probability of label 1")
            given = z.shape[:1] if columns else scores.shape[:-1]
            return z, self._labels(y_true, given, z.shape[1]), given
        if scores.ndim == 0:
            raise ValueError("`y_pred` must have shape (N,), probabilities of label 1, or (N, C), got a single number")
        y = inputs.as_array("y_true", y_true)
        if y.shape != scores.shape:
            raise ValueError(f"`y_true` has shape {y.shape}, but `y_pred` has {scores.shape}; they must be equal")
        return scores, y, scores.shape

    def _labels(self, y_true, given, classes):
        loss = confidences(self.from_logits, self.ignore_index)
        try:
            return rows.labels_of(loss, y_true, given, classes)
        except InputError as error:
            raise InputError("calibration", error.argument, error.allowed, error.value, error.index, error.remedy) from None
        except TypeError as error:
            raise TypeError(str(error).replace(loss.name, "calibration")) from None

    def _of_rows(self, z, y, start, stop, room, n_threads):
        """(confidence, is it right) of some rows."""
        part = [column[start:stop] for column in z.arrays] if isinstance(z, Columns) else z[start:stop]
        loss = confidences(self.from_logits, self.ignore_index)
        rows.run([loss], y, part, None, outputs=(room, None, None), wanted=(True, False, False), summed=False, n_threads=n_threads)
        return np.abs(room), ~np.signbit(room)

    def _of_numbers(self, z, y, start, stop, room, n_threads):
        """(confidence, label) of some probabilities of label 1, or logits of them."""
        part = z[start:stop]
        if self.from_logits:
            class_of(REGISTRY["logistic"])().gradient(0, part, gradient_out=room, n_threads=n_threads)  # the sigmoid
        else:
            np.copyto(room, part, casting="unsafe")
            bad = (room < 0) | (room > 1)
            if bad.any():
                i = int(np.argmax(bad))
                remedy = "logits: from_logits=True"
                raise InputError("calibration", "y_pred", "in [0, 1]", float(part[i]), i, remedy)
        bad = (y != 0) & (y != 1)
        if self.ignore_index is not None:
            bad &= y != self.ignore_index
        if bad.any():
            i = int(np.argmax(bad))
            raise InputError("calibration", "y_true", "0 or 1 (or bool)", y[i].item(), i)
        return room, y == 1

    def _add(self, confidence, hit, y, weight, n_threads):
        lost = np.isnan(confidence)
        place = self._place(np.where(lost, confidence.dtype.type(0), confidence) if lost.any() else confidence)
        if self.ignore_index is not None:
            ignored = y == self.ignore_index
            self.n_ignored += int(np.count_nonzero(ignored))
            lost &= ~ignored
            place[ignored] = self.bins
        if lost.any():
            if self.nan == "raise":
                remedy = "nan='skip' leaves such rows out, nan='propagate' makes results NaN"
                raise InputError("calibration", "y_pred", "a number", math.nan, int(np.argmax(lost)), remedy)
            self.n_nan += int(np.count_nonzero(lost))
            place[lost] = self.bins
        if weight is not None:
            weight = np.ascontiguousarray(np.broadcast_to(weight, len(place)), np.float64)
            bad = ~((weight >= 0) & (weight < np.inf))
            if bad.any():
                raise InputError("calibration", "sample_weight", "finite and >= 0", float(weight[bad][0]), int(bad.argmax()))
        for sums, values in zip(self._sums, (confidence, hit.astype(confidence.dtype)), strict=True):
            sums.add(Sample(values, weight), place, np.arange(self.bins + 1), self.bins + 1, n_threads)

    def _place(self, confidence):
        """The bins of numbers in [0, 1], from 0: a guess that may be off by one, set right. np.searchsorted takes 22 ns a row."""
        ends = (np.arange(1, self.bins) / self.bins).astype(confidence.dtype)
        low, high = np.append(confidence.dtype.type(-1), ends), np.append(ends, confidence.dtype.type(2))
        guess = np.minimum((confidence * confidence.dtype.type(self.bins)).astype(np.intp), self.bins - 1)
        return guess + (confidence > high[guess]) - (confidence <= low[guess])

    def merge(self, other):
        """Add what another Calibration has seen; it must be of the same bins and options."""
        if not isinstance(other, Calibration):
            raise TypeError(f"can merge only another Calibration, got {type(other).__name__}")
        if other._question() != self._question():
            raise ValueError(f"calibrations of different questions do not merge: {self!r} and {other!r}")
        for mine, theirs in zip(self._sums, other._sums, strict=True):
            mine.merge(theirs, range(self.bins + 1))
        self.n_nan += other.n_nan
        self.n_ignored += other.n_ignored
        return self

    @ieee
    def compute(self):
        """The CalibrationResult. ValueError if there is nothing to divide by."""
        confidences, hits = (sums.tallies() for sums in self._sums)
        whole = sum(tally.weight for place, tally in confidences.items() if place < self.bins)
        unknown = bool(self.n_nan) and self.nan == "propagate"
        if not whole and not unknown:
            raise ValueError("calibration has nothing to divide by: no rows, or all weights zero, or all left out")
        bins, apart, gaps = [], 0, []
        for i in range(self.bins):
            n, weight, confidence, accuracy = 0, 0, None, None
            if i in confidences:
                n, weight = confidences[i].n, confidences[i].weight
            if weight:
                sure, right = confidences[i].total, hits[i].total
                confidence, accuracy = quotient(sure, weight), quotient(right, weight)
                gaps.append((quotient(abs(right - sure), weight), quotient(weight, whole)))
                apart += abs(right - sure)
            bins.append(CalibrationBin(i / self.bins, (i + 1) / self.bins, n, quotient(weight, ONE), confidence, accuracy))
        ece = mce = rms = math.nan
        if not unknown:
            ece, mce = quotient(apart, whole), max(gap for gap, _ in gaps)
            rms = root(math.fsum(gap * gap * share for gap, share in gaps))
        n = sum(part.n for part in bins)
        return CalibrationResult(ece=ece, mce=mce, rms=rms, bins=bins, n=n, n_nan=self.n_nan, n_ignored=self.n_ignored)

    def to_bytes(self):
        """What was seen, as bytes, for files and other machines; the same for the same rows, however they came."""
        bins, from_logits, ignore_index, nan = self._question()
        places = range(self.bins + 1)
        return sealed(MAGIC, {
            "bins": bins, "from_logits": from_logits, "ignore_index": ignore_index, "nan": nan, "n_nan": self.n_nan,
            "n_ignored": self.n_ignored, "sums": [sums.fields(places) for sums in self._sums],
        })  # fmt: skip

    @classmethod
    def from_bytes(cls, data):
        """The Calibration that to_bytes wrote; ValueError if it is anything else."""
        fields = unsealed(MAGIC, data, WHAT)
        with reading(WHAT):
            bins, ignore_index = count(fields["bins"]), fields["ignore_index"]
            if any(len(found) != bins + 1 for found in fields["sums"]):
                raise ValueError("bins and sums do not match")
            made = cls(bins, from_logits=flag(fields["from_logits"]), ignore_index=ignore_index, nan=fields["nan"])
            made.n_nan, made.n_ignored = count(fields["n_nan"]), count(fields["n_ignored"])
            for sums, found in zip(made._sums, fields["sums"], strict=True):
                sums.take(found)
            sure, right = ({i: (tally.n, tally.weight) for i, tally in sums.tallies().items()} for sums in made._sums)
            if sure != right or sure.get(bins, (0,))[0] != made.n_nan + made.n_ignored:
                raise ValueError("rows of confidences and of what is right do not match")
        return made

    def __copy__(self):
        return copy.deepcopy(self)

    def __repr__(self):
        given = (("from_logits", False), ("ignore_index", None), ("nan", "propagate"))
        options = [f", {name}={getattr(self, name)!r}" for name, default in given if getattr(self, name) != default]
        return f"Calibration(bins={self.bins}{''.join(options)})"


def calibration_error(
    y_true, y_pred, sample_weight=None, *, bins=15, norm="l1", from_logits=False, ignore_index=None, nan="propagate", n_threads=None
):
    """The calibration error of predictions, a float: norm "l1" is the expected one (ECE), "max" the maximum (MCE), "l2" the root of the
    weighted mean of squares. The rest is as in Calibration:"""
    if norm not in tuple(NORMS):
        raise ValueError(f"`norm` must be one of {', '.join(map(repr, NORMS))}, got {norm!r}")
    made = Calibration(bins, from_logits=from_logits, ignore_index=ignore_index, nan=nan)
    return getattr(made.update(y_true, y_pred, sample_weight, n_threads).compute(), NORMS[norm])


calibration_error.__doc__ = f"{calibration_error.__doc__}\n\n    {Calibration.__doc__}"
