"""One pass over rows of scores: what run.py is for elementwise losses. Operands in, outputs written, exact tallies out."""

import math

import numpy as np

from fastloss.engine import backends, foreign, inputs, threads
from fastloss.engine.chunks import Chunks
from fastloss.engine.dtypes import code_of, compute_dtype, is_float, number, output_dtype
from fastloss.engine.errors import InputError
from fastloss.engine.exact import ONE, quotient
from fastloss.engine.memory import empty
from fastloss.engine.rowinputs import Columns, matrix, memory, operand_of, pieces, plain, target_dtype
from fastloss.engine.run import NAN_POLICIES, Tally
from fastloss.losses.rowspec import LABELS

SETS = {
    (True, False, False): 0, (False, True, False): 1, (True, True, False): 1,
    (False, True, True): 2, (True, True, True): 2, (False, False, True): 2, (True, False, True): 2,
}  # fmt: skip
SUMMED = 1 << 16  # numbers of a block whose rows are summed for sum_tolerance
OUTPUT_NAMES = ("loss_out", "gradient_out", "hessian_out")


class RowTally(Tally):
    """A tally that also knows of how many classes the rows are (0 before the first), how many were left out by their label, and, where
    that is asked for, a Tally per label."""

    __slots__ = ("n_ignored", "labels", "classes")

    def __init__(self):
        super().__init__()
        self.n_ignored, self.labels, self.classes = 0, {}, 0

    def check(self, other):
        if self.classes and other.classes and self.classes != other.classes:
            raise ValueError(f"`y_pred` has {other.classes} classes, but what was added before has {self.classes}")

    def nothing(self):
        return super().nothing() + self.ignored()

    def ignored(self):
        return f", or all ignored by their label (ignore_index), as {self.n_ignored} of {self.n} rows are" if self.n_ignored else ""

    def take(self, part, n, skip_nan, start=0):
        """Take in what a backend's run found in the rows from ``start``."""
        *common, weights, n_ignored, labels = part
        self.add(common, n, (n - n_ignored) * ONE if weights is None else weights, start, False)
        if skip_nan:
            self.weight -= common[2] * ONE if weights is None else common[1]
        self.n_ignored += n_ignored
        for label, (total, n_nan, n_positive, n_negative, weights, rows) in (labels or {}).items():
            weight = (rows - (n_nan if skip_nan else 0)) * ONE if weights is None else weights
            self.labels.setdefault(label, Tally()).add((total, 0, n_nan, n_positive, n_negative, -1), rows, weight, 0, False)

    def merge(self, other):
        super().merge(other)
        self.n_ignored, self.classes = self.n_ignored + other.n_ignored, self.classes or other.classes
        for label, tally in other.labels.items():
            self.labels.setdefault(label, Tally()).merge(tally)


def labels_of(loss, value, shape, classes, scores=None, chunked=False):
    """The labels as an array of integers, one dimension, or with ``chunked`` Chunks. scores: what they must go with, for errors."""
    array = read_labels(value)
    if array.dtype.kind not in "iub":
        remedy = "; map them to 0..C-1 first: fl.encode_labels(y_true, labels)" if array.dtype.kind in "OUST" else ""
        if array.dtype.kind == "f" and array.ndim == 1 and (missing := np.isnan(array[:])).any():
            remedy = f"; the one at index {int(missing.argmax())} is missing, or NaN: leave such rows out, or give it a label to ignore"
        if array.dtype.kind == "f" and array.shape == (*shape, classes):
            remedy = "; one number per class is a target of soft_label_cross_entropy and its like, or has its label in y_true.argmax(-1)"
        if array.dtype.kind == "f" and array.shape == shape and not remedy:
            remedy = "; labels that are whole numbers: pass y_true.astype(int)"
        raise TypeError(
            f"`y_true` of `{loss.name}` must be integers, class numbers from 0 to {classes - 1}; got dtype {array.dtype}{remedy}"
        )
    if array.shape != shape:
        remedy = "; one number per class is a target of soft_label_cross_entropy and its like, or has its label in y_true.argmax(-1)"
        raise ValueError(
            f"`y_true` has shape {array.shape}, but {scores or f'`y_pred` has {(*shape, classes)}'}: there must be one label per row of "
            f"scores{remedy if array.shape == (*shape, classes) else ''}"
        )
    if isinstance(array, Chunks):
        if chunked and array.dtype != np.uint64:
            return array
        array = array.whole()
    labels = inputs.as_array("y_true", array).reshape(-1)
    if labels.dtype.kind == "u" and labels.dtype.itemsize == 8 and loss.ignore_index == -1:  # as which kernels read what int64 has not
        beyond = labels > np.iinfo(np.int64).max
        if beyond.any():
            _refuse((int(beyond.argmax()), -1, 0, 0), [loss], (labels,), shape, classes)
    return labels


def read_labels(value):
    """Labels as an array of whatever dtype, or as Chunks."""
    if foreign.is_foreign(value):
        value = foreign.column("y_true", value)
    return value if isinstance(value, np.ndarray | Chunks) else np.asarray(value)


def run(losses, y_true, y_pred, sample_weight, *, outputs=(None, None, None), wanted=(False, False, False), summed=True, nan="propagate",
        of_the_cost=False, scale=1.0, n_threads=None, per_class=False, backend=None):  # fmt: skip
    """Take all rows through the configured losses, once. Arguments and results as in run.run; scale is what derivatives are multiplied by
    where these rows are not all that the cost is the mean of; per_class: the tallies hold labels; backend: another than the current one."""
    if nan not in NAN_POLICIES:
        raise ValueError(f"`nan` must be one of {', '.join(map(repr, NAN_POLICIES))}, got {nan!r}")
    first, backend = losses[0], backend or backends.current()
    labels = first.definition.target is LABELS
    if any((loss.definition.target is LABELS) != labels for loss in losses):
        raise ValueError(f"losses of labels and losses of rows of targets do not go together: {', '.join(loss.name for loss in losses)}")
    z = matrix("y_pred", y_pred, chunked=True)
    *given, classes = z.shape
    given, n = tuple(given), math.prod(given)
    if classes < 2:
        raise ValueError(f"`y_pred` has {classes} column{'s' * (classes != 1)}; rows of scores are of 2 classes or more")
    if labels:
        y_true = read_labels(y_true)
        y = [labels_of(loss, y_true, given, classes, chunked=True) for loss in losses][0]
        compute = compute_dtype(np.dtype(np.int8), z.dtype)
    else:
        y = matrix("y_true", y_true, chunked=True)
        if y.shape != z.shape:
            raise ValueError(f"`y_true` has shape {y.shape}, but `y_pred` has {z.shape}; they must be equal")
        compute = compute_dtype(target_dtype(y), z.dtype)
    w = None
    if sample_weight is not None:
        w = inputs.as_array("sample_weight", sample_weight, chunked=True)
        if w.ndim and w.shape != given:
            raise ValueError(f"`sample_weight` has shape {w.shape}, but there must be one weight per row: {given}")
        w = w.reshape(-1) if w.ndim > 1 else w
    for loss in losses:
        loss.check_classes(classes)
    refuse_sums(losses, y, z, given)
    bounds = [loss.bound(compute, backend) for loss in losses]
    arrays = outputs_of(outputs, wanted, given, z, y, w, compute)
    parts = SETS[summed or wanted[0], wanted[1], wanted[2]]
    for loss in losses:
        for part, word in ((1, "gradient"), (2, "Hessian")):
            if wanted[part] and not hasattr(loss.kernel.body, word.lower()):
                raise TypeError(f"`{loss.name}` has no {word}{': it is a measure, not a loss to be lowered' if part == 1 else ''}")
    nanoseconds = n * classes * sum(loss.nanoseconds for loss in losses) * (2 if wanted[1] else 1)
    workers = threads.choose(n_threads, nanoseconds)
    tallies = [RowTally() for _ in losses]
    if n:
        if of_the_cost and w is None and all(loss.class_weight is None and loss.ignore_index is None for loss in losses):
            scale = 1.0 / n
        elif of_the_cost:
            y, w = (part.whole() if isinstance(part, Chunks) else part for part in (y, w))
            scale = scale_of(weigh(losses, bounds, y, w, given, classes, workers, backend))
        flat_loss = None if arrays[0] is None else flat(arrays[0])
        for start, stop, (z_part, y_part), to in pieces(given, classes, (z, None if labels else y), arrays[1:], (y, w)):
            y_part, w_part, loss_part = y if labels else y_part, w, flat_loss
            if stop - start < n or isinstance(y, Chunks) or isinstance(w, Chunks):
                y_part = y[start:stop] if labels else y_part
                w_part = w[start:stop] if w is not None and w.ndim else w
                loss_part = None if flat_loss is None else flat_loss[start:stop]
            error, found = backend.run_rows(
                bounds, stop - start, classes, operand_of(z_part), operand_of(y_part), *map(_described, (w_part, loss_part)),
                tuple(None if part is None else operand_of(part) for part in to), parts, summed, nan == "skip", scale, workers, per_class,
            )  # fmt: skip
            _refuse(error, losses, (y_part, w_part, z_part), given, classes, start)
            for tally, part in zip(tallies, found, strict=False):
                tally.take(part, stop - start, nan == "skip", start)
        if flat_loss is not None and not np.may_share_memory(flat_loss, arrays[0]):
            arrays[0][...] = flat_loss.reshape(given)
        for tally in tallies:
            tally.classes = classes
    if nan == "raise":
        for tally, loss in zip(tallies, losses, strict=True):
            if tally.n_nan:
                remedy = "nan='skip' leaves such rows out, nan='propagate' returns NaN"
                raise InputError(loss.name, "loss", "a number", math.nan, _index(tally.first_nan, given), remedy)
    return tallies, arrays


def refuse_sums(losses, y, z, given):
    """InputError for the first row, in the order of the data, whose probabilities do not sum to 1 within a loss's sum_tolerance. Block by
    block, in float64, before anything is computed: kernels have no such check. A NaN is let through, as everywhere."""
    checks = [(loss, name) for loss in losses if loss.sum_tolerance is not None for name in loss.definition.sums]
    if not checks:
        return
    z, y = plain(z), y if y.ndim == 1 else plain(y)
    n, classes = z.shape
    for start in range(0, n, max(1, SUMMED // classes)):
        stop, found, sums = min(n, start + max(1, SUMMED // classes)), [], {}
        for order, (loss, name) in enumerate(checks):
            if name not in sums:
                sums[name] = _row_sums(z if name == "y_pred" else y, start, stop)
            apart = np.abs(sums[name] - 1.0)
            # where rounding could decide, which differs with the layout: the sum correctly rounded
            for i in np.flatnonzero(np.abs(apart - loss.sum_tolerance) <= classes * 2.0**-52).tolist():
                row = z if name == "y_pred" else y
                sums[name][i] = math.fsum(float(row[start + i, j]) for j in range(classes))
            wrong = np.abs(sums[name] - 1.0) > loss.sum_tolerance
            if loss.ignore_index is not None:
                wrong &= y[start:stop] != loss.ignore_index
            found += [(int(row), order) for row in np.flatnonzero(wrong)[:1]]
        if found:
            row, order = min(found)
            loss, name = checks[order]
            raise InputError(loss.name, name, f"rows that sum to 1 within {loss.sum_tolerance!r}", float(sums[name][row]),
                             _index(start + row, given), "sum_tolerance=None takes rows as they are")  # fmt: skip


def _row_sums(part, start, stop):
    with np.errstate(all="ignore"):
        if isinstance(part, Columns):
            return sum((array[start:stop].astype(np.float64) for array in part.arrays), np.zeros(stop - start))
        return part[start:stop].astype(np.float64).sum(axis=1)


def weigh(losses, bounds, y, w, given, classes, workers=1, backend=None):
    """The tally of the weights alone, for scale_of, before any score is known; labels and weights are checked."""
    n, tally, weight = math.prod(given), RowTally(), _described(w)
    error, found = (backend or backends.current()).run_rows(
        bounds, n, classes, None, operand_of(y), weight, None, (None, None), -1, True, False, 1.0, workers
    )  # fmt: skip
    _refuse(error, losses, (y, w), given, classes)
    tally.take(found[0], n, False)
    return tally


def outputs_of(outputs, wanted, given, z, y, w, compute, names=OUTPUT_NAMES, scores="y_pred"):
    """The arrays to write to: the caller's, or new ones with the layout of the scores. names, scores: for errors."""
    arrays = [None] * 3
    taken = [("y_true", y), ("sample_weight", w)]
    for o, name in enumerate(names):
        if not wanted[o]:
            continue
        dtype = output_dtype(z.dtype, compute)
        shape = (*given, z.shape[-1]) if o else given
        array = outputs[o]
        if array is None:
            columns_first = isinstance(z, Columns) or (len(given) == 1 and z.flags.f_contiguous and not z.flags.c_contiguous)
            array = empty(shape, dtype, order="F" if columns_first and o else "C")
        elif not isinstance(array, np.ndarray) or array.shape != shape or code_of(array.dtype) is None or not is_float(array.dtype):
            found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
            raise ValueError(f"`{name}` must be a writeable float array of shape {shape}, {dtype} for instance, got {found}")
        elif not array.flags.writeable:
            raise ValueError(f"`{name}` is read-only")
        elif inputs.overlaps_itself(array):
            raise ValueError(inputs.ONE_PLACE.format(name=name, strides=array.strides))
        for other_name, other in taken:
            if any(np.may_share_memory(array, part) and np.shares_memory(array, part) for part in memory(other)):
                raise ValueError(f"`{name}` and `{other_name}` must not share memory")
        for part in memory(z):
            same = o == 1 and array.ctypes.data == part.ctypes.data and array.dtype == part.dtype and array.size == part.size
            same = same and _alike(array, part)
            if not same and np.may_share_memory(array, part) and np.shares_memory(array, part):
                raise ValueError(f"`{name}` overlaps `{scores}`; only what is per class may take the scores' place, and then all of it")
        taken.append((name, array))
        arrays[o] = array
    return arrays


def _alike(array, part):
    """Do two arrays that begin at one place have every number at one place, too?"""
    return _steps(array) == _steps(part) if array.shape == part.shape else array.flags.c_contiguous and part.flags.c_contiguous


def _steps(array):
    return [stride for size, stride in zip(array.shape, array.strides, strict=True) if size != 1]


def _described(array):
    return None if array is None else inputs.describe(array)


def flat(array):
    """An array of a loss per row with one dimension: a view, or where there is none, memory that is to be copied back."""
    view = inputs.collapsed(array)
    return np.empty(array.size, array.dtype) if view is None else view


def scale_of(tally):
    """What gradients are multiplied by to be those of the cost: 1 / (sum of weights)."""
    if tally.weight == 0:
        raise ValueError(f"the gradient of the cost has nothing to divide by: all weights zero{tally.ignored()}")
    divisor = quotient(tally.weight, ONE)
    if not 1e-290 < divisor < 1e290:
        raise ValueError(f"the weights sum to {divisor:g}, too near the ends of float64 for gradients to be divided by it; scale them")
    return 1.0 / divisor


def _index(row, given):
    return int(row) if len(given) < 2 else tuple(int(i) for i in np.unravel_index(row, given))


def _refuse(error, losses, arrays, given, classes, start=0):
    """Raise what a kernel found: (row, class or -1, which loss, which argument). arrays: targets, weights, scores if read, from row
    ``start`` on."""
    if error is None:
        return
    row, column, which, argument = error
    name, array, loss = ("y_true", "y_pred", "sample_weight")[argument], arrays[(0, 2, 1)[argument]], losses[which]
    index = _index(start + row, given)
    if argument == 2:
        raise InputError(None, name, "finite and >= 0", float(number(array[()] if array.ndim == 0 else array[row])), index)
    if column < 0:
        ignored = "" if loss.ignore_index is None else f" (or {loss.ignore_index}, which is ignored)"
        remedy = "" if loss.ignore_index is not None else "rows to leave out: ignore_index="
        if int(array[row]) == classes:
            remedy += f"{'; ' * bool(remedy)}labels that begin at 1: pass y_true - 1"
        if int(array[row]) >= 2**63:  # which no ignore_index is
            remedy = f"rows to leave out: y_true.astype('int64') and ignore_index={int(array[row]) - 2**64}"
        raise InputError(loss.name, name, f"a class from 0 to {classes - 1}{ignored}", int(array[row]), index, remedy)
    domain = loss.definition.target if argument == 0 else loss.definition.prediction
    place = (*(index if isinstance(index, tuple) else (index,)), column)
    raise InputError(loss.name, name, str(domain), float(number(array[row, column])), place)
