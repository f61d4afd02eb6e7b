"""One pass over rows of scores: what run.py is for elementwise losses. Operands in, outputs written, exact tallies out."""

import math

import numpy as np

from fastloss.engine import backends, inputs, threads
from fastloss.engine.dtypes import code_of, compute_dtype, is_float, output_dtype
from fastloss.engine.errors import InputError
from fastloss.engine.exact import ONE, quotient
from fastloss.engine.run import NAN_POLICIES, Tally
from fastloss.losses.rowspec import LABELS

SETS = {
    (True, False, False): 0, (False, True, False): 1, (True, True, False): 1,
    (False, True, True): 2, (True, True, True): 2, (False, False, True): 2, (True, False, True): 2,
}  # fmt: skip
SUMMED = 1 << 16  # numbers of a block whose rows are summed for sum_tolerance
OUTPUT_NAMES = ("loss_out", "gradient_out", "hessian_out")


class RowTally(Tally):
    """A tally that also knows how many rows were left out by their label, and, where that is asked for, a Tally per label."""

    __slots__ = ("n_ignored", "labels")

    def __init__(self):
        super().__init__()
        self.n_ignored, self.labels = 0, {}

    def nothing(self):
        return super().nothing() + self.ignored()

    def ignored(self):
        return f", or all ignored by their label (ignore_index), as {self.n_ignored} of {self.n} rows are" if self.n_ignored else ""

    def take(self, part, n, skip_nan):
        """Take in what a backend's run found."""
        *common, weights, n_ignored, labels = part
        self.add(common, n, (n - n_ignored) * ONE if weights is None else weights, 0, False)
        if skip_nan:
            self.weight -= common[2] * ONE if weights is None else common[1]
        self.n_ignored += n_ignored
        for label, (total, n_nan, n_positive, n_negative, weights, rows) in (labels or {}).items():
            weight = (rows - (n_nan if skip_nan else 0)) * ONE if weights is None else weights
            self.labels.setdefault(label, Tally()).add((total, 0, n_nan, n_positive, n_negative, -1), rows, weight, 0, False)

    def merge(self, other):
        super().merge(other)
        self.n_ignored += other.n_ignored
        for label, tally in other.labels.items():
            self.labels.setdefault(label, Tally()).merge(tally)


class Columns:
    """C arrays of one dimension, one per class, seen as N rows of C."""

    def __init__(self, name, arrays):
        self.arrays = [inputs.as_array(f"{name}[{j}]", array) for j, array in enumerate(arrays)]
        for j, array in enumerate(self.arrays):
            if array.ndim != 1 or array.shape != self.arrays[0].shape:
                shapes = f"{array.shape}; the columns must be of one dimension and one length, as `{name}[0]`: {self.arrays[0].shape}"
                raise ValueError(f"`{name}[{j}]` has shape {shapes}")
        widest = max(self.arrays, key=lambda array: (is_float(array.dtype), array.dtype.itemsize))
        self.dtype, self.shape, self.ndim = widest.dtype, (len(self.arrays[0]), len(self.arrays)), 2

    def __getitem__(self, index):
        row, column = index
        return self.arrays[column][row]

    def operand(self):
        return ([inputs.describe(array) for array in self.arrays],)


def matrix(name, value):
    """What users pass for rows, as an array of two dimensions (a view) or as Columns; its last axis is the classes'."""
    if isinstance(value, list | tuple) and value and all(isinstance(part, np.ndarray) and part.ndim == 1 for part in value):
        return Columns(name, value)
    array = inputs.as_array(name, value)
    if array.ndim < 2:
        raise ValueError(
            f"`{name}` must have rows of C scores, shape (N, C) or (..., C), or be a list of C columns; got shape {array.shape}"
        )
    return seen_as(name, array, (-1, array.shape[-1]), "rows") if array.ndim > 2 else array


def seen_as(name, array, shape, what):
    """The array in another shape: a view, or ValueError."""
    view = array.view()
    try:
        view.shape = shape
    except AttributeError as error:
        raise ValueError(f"`{name}` of shape {array.shape} cannot be seen as {what} without a copy; pass a contiguous array") from error
    return view


def operand_of(rows):
    return rows.operand() if isinstance(rows, Columns) else inputs.describe(rows)


def labels_of(loss, value, shape, classes):
    """The labels as an array of integers, one dimension."""
    array = value if isinstance(value, np.ndarray) else np.asarray(value)
    if array.dtype.kind not in "iub":
        remedy = "; map them to 0..C-1 first: fl.encode_labels(y_true, labels)" if array.dtype.kind in "OUST" else ""
        raise TypeError(
            f"`y_true` of `{loss.name}` must be integers, class numbers from 0 to {classes - 1}; got dtype {array.dtype}{remedy}"
        )
    if array.shape != shape:
        raise ValueError(
            f"`y_true` has shape {array.shape}, but `y_pred` has {(*shape, classes)}: there must be one label per row of scores"
        )
    return inputs.as_array("y_true", array).reshape(-1)


def run(losses, y_true, y_pred, sample_weight, *, outputs=(None, None, None), wanted=(False, False, False), summed=True, nan="propagate",
        of_the_cost=False, scale=1.0, n_threads=None, per_class=False):  # fmt: skip
    """Take all rows through the configured losses, once. Arguments and results as in run.run; scale is what derivatives are multiplied by
    where these rows are not all that the cost is the mean of; per_class: the tallies hold labels."""
    if nan not in NAN_POLICIES:
        raise ValueError(f"`nan` must be one of {', '.join(map(repr, NAN_POLICIES))}, got {nan!r}")
    first, backend = losses[0], backends.current()
    labels = first.definition.target is LABELS
    if any((loss.definition.target is LABELS) != labels for loss in losses):
        raise ValueError(f"losses of labels and losses of rows of targets do not go together: {', '.join(loss.name for loss in losses)}")
    z = matrix("y_pred", y_pred)
    n, classes = z.shape
    if classes < 2:
        raise ValueError(f"`y_pred` has {classes} column{'s' * (classes != 1)}; rows of scores are of 2 classes or more")
    given = np.shape(y_pred)[:-1] if not isinstance(z, Columns) else (n,)
    if labels:
        y = labels_of(first, y_true, given, classes)
        compute = compute_dtype(np.dtype(np.int8), z.dtype)
    else:
        y = matrix("y_true", y_true)
        if y.shape != z.shape:
            raise ValueError(f"`y_true` has shape {np.shape(y_true)}, but `y_pred` has {np.shape(y_pred)}; they must be equal")
        compute = compute_dtype(y.dtype, z.dtype)
    w = None
    if sample_weight is not None:
        w = inputs.as_array("sample_weight", sample_weight)
        if w.ndim and w.shape != given:
            raise ValueError(f"`sample_weight` has shape {w.shape}, but there must be one weight per row: {given}")
        w = w.reshape(-1) if w.ndim else w
    for loss in losses:
        loss.check_classes(classes)
    refuse_sums(losses, y, z, given)
    bounds = [loss.bound(compute) for loss in losses]
    arrays = outputs_of(outputs, wanted, given, z, y, w, compute)
    parts = SETS[summed or wanted[0], wanted[1], wanted[2]]
    for loss in losses:
        for part, word in ((1, "gradient"), (2, "Hessian")):
            if wanted[part] and not hasattr(loss.kernel.body, word.lower()):
                raise TypeError(f"`{loss.name}` has no {word}{': it is a measure, not a loss to be lowered' if part == 1 else ''}")
    nanoseconds = n * classes * sum(loss.nanoseconds for loss in losses) * (2 if wanted[1] else 1)
    workers = threads.choose(n_threads, nanoseconds)
    target = inputs.describe(y) if labels else operand_of(y)
    weight = None if w is None else inputs.describe(w)
    tallies = [RowTally() for _ in losses]
    if n:
        if of_the_cost and w is None and all(loss.class_weight is None and loss.ignore_index is None for loss in losses):
            scale = 1.0 / n
        elif of_the_cost:
            scale = scale_of(weigh(losses, bounds, y, w, given, classes, workers))
        to = [None if array is None else operand_of(array) for array in (arrays[1], arrays[2])]
        flat = None if arrays[0] is None else inputs.describe(arrays[0].reshape(-1))
        error, found = backend.run_rows(bounds, n, classes, operand_of(z), target, weight, flat, tuple(to), parts, summed, nan == "skip",
                                        scale, workers, per_class)  # fmt: skip
        _refuse(error, losses, (y, w, z), given, classes)
        for tally, part in zip(tallies, found, strict=False):
            tally.take(part, n, nan == "skip")
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
    n, classes = z.shape
    for start in range(0, n if checks else 0, max(1, SUMMED // classes)):
        stop, found, sums = min(n, start + max(1, SUMMED // classes)), [], {}
        for order, (loss, name) in enumerate(checks):
            if name not in sums:
                sums[name] = _row_sums(z if name == "y_pred" else y, start, stop)
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


def weigh(losses, bounds, y, w, given, classes, workers=1):
    """The tally of the weights alone, for scale_of, before any score is known; labels and weights are checked."""
    n, tally, weight = math.prod(given), RowTally(), None if w is None else inputs.describe(w)
    error, found = backends.current().run_rows(
        bounds, n, classes, None, operand_of(y), weight, None, (None, None), -1, True, False, 1.0, workers
    )  # fmt: skip
    _refuse(error, losses, (y, w), given, classes)
    tally.take(found[0], n, False)
    return tally


def outputs_of(outputs, wanted, given, z, y, w, compute, names=OUTPUT_NAMES, scores="y_pred"):
    """The arrays to write to, seen as rows: the caller's, or new ones with the layout of the scores. names, scores: for errors."""
    arrays = [None] * 3
    taken = [("y_true", y), ("sample_weight", w)]
    for o, name in enumerate(names):
        if not wanted[o]:
            continue
        dtype = output_dtype(z.dtype, compute)
        shape = (*given, z.shape[1]) if o else given
        array = outputs[o]
        if array is None:
            columns_first = isinstance(z, Columns) or (len(given) == 1 and z.flags.f_contiguous and not z.flags.c_contiguous)
            array = np.empty(shape, dtype, order="F" if columns_first and o else "C")
        elif not isinstance(array, np.ndarray) or array.shape != shape or code_of(array.dtype) is None or not is_float(array.dtype):
            found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
            raise ValueError(f"`{name}` must be a writeable float array of shape {shape}, {dtype} for instance, got {found}")
        elif not array.flags.writeable:
            raise ValueError(f"`{name}` is read-only")
        elif not o and array.ndim > 1:
            seen_as(name, array, (-1,), "one row after the other")  # a copy would be written in its place
        for other_name, other in taken:
            parts = other.arrays if isinstance(other, Columns) else [other] if other is not None else []
            if any(np.may_share_memory(array, part) and np.shares_memory(array, part) for part in parts):
                raise ValueError(f"`{name}` and `{other_name}` must not share memory")
        for part in z.arrays if isinstance(z, Columns) else [z]:
            same = array.ctypes.data == part.ctypes.data and array.dtype == part.dtype and o == 1 and array.shape[-1:] == z.shape[1:]
            same = same and matrix(name, array).strides == part.strides
            if not same and np.may_share_memory(array, part) and np.shares_memory(array, part):
                raise ValueError(f"`{name}` overlaps `{scores}`; only what is per class may take the scores' place, and then all of it")
        taken.append((name, array))
        arrays[o] = matrix(name, array) if o else array
    return arrays


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


def _refuse(error, losses, arrays, given, classes):
    """Raise what a kernel found: (row, class or -1, which loss, which argument). arrays: targets, weights, scores if read."""
    if error is None:
        return
    row, column, which, argument = error
    name, array, loss = ("y_true", "y_pred", "sample_weight")[argument], arrays[(0, 2, 1)[argument]], losses[which]
    index = _index(row, given)
    if argument == 2:
        raise InputError(None, name, "finite and >= 0", float(array if array.ndim == 0 else array[row]), index)
    if column < 0:
        ignored = "" if loss.ignore_index is None else f" (or {loss.ignore_index}, which is ignored)"
        remedy = "" if loss.ignore_index is not None else "rows to leave out: ignore_index="
        raise InputError(loss.name, name, f"a class from 0 to {classes - 1}{ignored}", int(array[row]), index, remedy)
    domain = loss.definition.target if argument == 0 else loss.definition.prediction
    place = (*(index if isinstance(index, tuple) else (index,)), column)
    raise InputError(loss.name, name, str(domain), float(array[row, column]), place)
