"""A configured rowwise loss: as configured.Loss, for rows of C scores."""

import math
import numbers

import numpy as np

from fastloss.engine import backends, rows
from fastloss.engine.configured import REDUCTIONS, Loss, NoCalls
from fastloss.engine.environment import ieee
from fastloss.engine.run import closed_bounds
from fastloss.losses.rowspec import LABELS
from fastloss.losses.spec import NONNEGATIVE, Parameter

TOLERANCE = Parameter(None, NONNEGATIVE, "how far from 1 a row of probabilities may sum to")


class RowLoss(Loss):
    """Base of all losses of rows. y_pred: scores of C >= 2 classes per row, an array (N, C) (or (..., C)) or a list of C columns, each an
    array of N (of NumPy, polars, torch ...; a list of plain lists is one of rows); y_true: N labels, integers from 0 to C - 1, or, where
    the loss takes targets per class, an array like y_pred.

    class_weight  (losses of labels that know it) C weights, finite and >= 0; the mean then divides by the sum of the labels' weights
    sum_tolerance (losses of probabilities) rows of probabilities that do not sum to 1 within it are an InputError with row and sum; of an
                  ignored label they are not looked at. None: rows are taken as they are, as the loss's notes say. It costs one more
                  pass over the probabilities, on one thread, before all else
    ignore_index  (losses of labels) rows with this label are left out: their loss and gradient are 0, and the mean does not count them
    dtypes        float16, bfloat16, float32 compute in float32, float64 (or integers, or float64 targets) in float64; a list
                of columns of scores with integers among them, too; integer targets never change it
    strides       any. Of arrays of three dimensions or more, rows that do not lie in steps of one length are taken in stretches that do,
                  or where these are short (less than 2**14 scores) copied, 2**18 scores at a time
    outputs       the gradient and the diagonal of the Hessian are with respect to the scores, shaped as y_pred and laid out as that or in
                  C order; gradient_out may be y_pred itself
    errors        as elsewhere; a label that is no class is an InputError with its index
    """

    __slots__ = ("class_weight", "ignore_index", "sum_tolerance")
    run, new_tally = staticmethod(rows.run), rows.RowTally

    def configured(self):
        return self.class_weight, self.ignore_index, self.sum_tolerance

    def __init__(self, /, *args, class_weight=None, ignore_index=None, sum_tolerance=None, **kwargs):
        super().__init__(*args, **kwargs)
        put, definition = object.__setattr__, self.definition
        for name, value in (("class_weight", class_weight), ("ignore_index", ignore_index), ("sum_tolerance", sum_tolerance)):
            if value is not None and name not in definition.options:
                raise TypeError(f"`{name}` is not an option of `{definition.name}`")
        text = []
        if class_weight is not None:
            class_weight = self._weights(class_weight)
            text.append("class_weight=" + ";".join(map(repr, class_weight)))
        if ignore_index is not None:
            ignore_index = self._ignored(ignore_index)
            text.append(f"ignore_index={ignore_index}")
        if sum_tolerance is not None:
            sum_tolerance = TOLERANCE.check(definition.name, "sum_tolerance", sum_tolerance)
            text.append(f"sum_tolerance={sum_tolerance!r}")
        put(self, "sum_tolerance", sum_tolerance)
        put(self, "class_weight", class_weight)
        put(self, "ignore_index", ignore_index)
        if text:
            put(self, "spec", self.spec + (":" if ":" not in self.spec else ",") + ",".join(text))
            put(self, "_hash", hash(self.spec))

    def _ignored(self, given):
        value = given
        if isinstance(given, str):  # as in a spec
            try:
                value = int(given)
            except ValueError:
                value = None
        elif isinstance(given, float) and given.is_integer():
            value = int(given)
        whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        if not whole or not -(2**63) <= int(value) < 2**63:
            raise ValueError(f"`ignore_index` of `{self.name}` must be an integer from -2**63 to 2**63 - 1, got {given!r}")
        return int(value)

    def _weights(self, given):
        if isinstance(given, str):  # "1;2;0.5", as in a spec
            given = given.split(";")
        elif isinstance(given, numbers.Real):
            given = [given]
        try:
            values = tuple(float(value) for value in np.asarray(given).ravel().tolist())
        except (TypeError, ValueError):
            values = ()
        if not values or not all(math.isfinite(value) and value >= 0 for value in values):
            raise ValueError(f"`class_weight` of `{self.name}` must be finite numbers >= 0, one per class, got {given!r}")
        return values

    def calls(self):
        """The short way for plain arrays, as that of other losses; none for what is one of the user's, or more than a mean."""
        if self._calls is None:
            backend, definition, calls = backends.current(), self.definition, NoCalls
            if hasattr(backend, "row_calls") and not (definition.own or definition.base or self.sum_tolerance is not None):
                parts = 1 + sum(part for part, word in ((2, "gradient"), (4, "hessian")) if hasattr(definition.body, word))
                bounds = self._bound_or_none("float32"), self._bound_or_none("float64")
                calls = backend.row_calls(*bounds, self.labels, len(self.class_weight or ()), parts, self.nanoseconds)
            object.__setattr__(self, "_calls", calls)
        return self._calls

    @property
    def labels(self):
        """Is the target a label per row?"""
        return self.definition.target is LABELS

    @property
    def nanoseconds(self):
        """What a score costs, roughly: for the choice of threads."""
        return 0.5

    def check_classes(self, classes):
        if self.class_weight is not None and len(self.class_weight) != classes:
            raise ValueError(f"`class_weight` of `{self.name}` has {len(self.class_weight)} weights, but `y_pred` has {classes} classes")

    def __repr__(self):
        options = [f"{name}={getattr(self, name)!r}" for name in self.definition.options if getattr(self, name) is not None]
        inside = [f"{name}={value!r}" for name, value in self.parameters.items()]
        return f"{self.definition.class_name}({', '.join(inside + options)})"

    def bound(self, dtype, backend=None):
        """The kernel for a compute dtype, of the current backend or of another."""
        key = dtype if backend is None or backend is backends.current() else (dtype, backend.name)
        if key not in self._bound:
            self._bound[key] = self._bind(dtype, backend)
        return self._bound[key]

    @ieee
    def _bind(self, dtype, backend=None):
        definition = self.kernel
        numbers_ = tuple(self._number(name, parameter, dtype) for name, parameter in definition.parameters.items())
        weights = None if self.class_weight is None else self._rounded(dtype)
        anything = (0, 0.0, 0.0)
        targets = anything if self.labels else closed_bounds(definition.target, dtype)
        scores = closed_bounds(definition.prediction, dtype)
        return (backend or backends.current()).bind_rows(definition, dtype, numbers_, weights, targets, scores, self.ignore_index)

    def _rounded(self, dtype):
        """The class weights as kernels get them, which read some further; rounded to the dtype they must still be what they were."""
        with np.errstate(over="ignore", under="ignore"):
            weights = np.array((*self.class_weight, *[0.0] * 32), dtype)
        for given, number in zip(self.class_weight, weights.tolist(), strict=False):
            if not math.isfinite(number) or (number == 0) != (given == 0):
                raise ValueError(
                    f"`class_weight` of `{self.name}` must be finite numbers >= 0, one per class; {given!r} is {number!r} in {dtype}"
                )
        return weights

    def __call__(self, y_true, y_pred, sample_weight=None, *, reduction="mean", nan="propagate", n_threads=None):
        """The cost: sum(w * loss) / sum(w) over the rows that are not ignored, as a float, correctly rounded; with reduction="sum" the sum
        alone. w is sample_weight, times the label's class weight in the denominator (the loss contains it).

        nan        "propagate": a NaN loss makes the cost NaN; "skip": such rows are left out of both sums; "raise": ValueError
        n_threads  None for as many as pay. The result has the same bits for any number.
        An empty mean, or one of weights that sum to 0, is a ValueError; an empty sum is 0.
        """
        if reduction in REDUCTIONS and (nan == "propagate" or nan == "skip"):
            calls = self._calls or self.calls()
            cost = calls.cost(y_true, y_pred, sample_weight, n_threads, reduction == "sum", nan == "skip")
            if cost is not None:
                return cost
        if reduction not in REDUCTIONS:
            raise ValueError(f"`reduction` must be one of {', '.join(map(repr, REDUCTIONS))}, got {reduction!r}")
        (tally,), _ = self.run([self], y_true, y_pred, sample_weight, nan=nan, n_threads=n_threads)
        return self.finish(tally, nan, reduction)

    def _outputs(self, parts, y_true, y_pred, sample_weight, loss_out, gradient_out, hessian_out, n_threads):
        calls = self._calls or self.calls()
        found = calls.outputs(parts, y_true, y_pred, sample_weight, loss_out, gradient_out, hessian_out, n_threads)
        if found is not None:
            return found
        self._no_derived("a loss of each row")
        wanted, outputs = tuple(parts & part > 0 for part in (1, 2, 4)), (loss_out, gradient_out, hessian_out)
        _, arrays = self.run([self], y_true, y_pred, sample_weight, outputs=outputs, wanted=wanted, summed=False, n_threads=n_threads)
        results = [array for array in arrays if array is not None]
        return results[0] if len(results) == 1 else tuple(results)


def encode_labels(y_true, labels):
    """Class numbers 0..C-1 of labels of any kind (strings, say), by their place in ``labels``, the list of all C classes in the order of
    the scores' columns. Returns an int64 array of y_true's shape; a label that is not listed, a missing one say, is a ValueError with its
    index. Numbers equal numbers, text text."""
    listed, given = _plain(labels), _plain(y_true)
    try:
        different = listed.ndim == 1 and listed.size >= 2 and len(set(listed.tolist())) == listed.size
    except TypeError as error:
        raise TypeError(f"`labels` must be text, numbers or other things that are hashable: {error}") from error
    if isinstance(labels, set | frozenset) or not different:
        what = "a set, which has no order" if isinstance(labels, set | frozenset) else repr(labels)
        raise ValueError(f"`labels` must be 2 or more different labels, in the order of the scores' columns, got {what}")
    if given.dtype.kind == listed.dtype.kind and given.dtype.kind in "iufUS":
        order = np.argsort(listed)
        codes = order[np.minimum(np.searchsorted(listed, given, sorter=order), listed.size - 1)].astype(np.int64)
        wrong = listed[codes] != given
    else:
        places = {label: place for place, label in enumerate(listed.tolist())}
        codes = np.array([_place(places, label) for label in given.ravel().tolist()], np.int64).reshape(given.shape)
        wrong = codes < 0
    if wrong.any():
        index = tuple(map(int, np.unravel_index(np.argmax(wrong), given.shape)))
        shown = ", ".join(map(repr, listed[:5].tolist())) + (", ..." if listed.size > 5 else "")
        found = given[index].item() if isinstance(given[index], np.generic) else given[index]
        raise ValueError(f"`y_true` must be one of the labels {shown}, got {found!r} at index {index[0] if len(index) == 1 else index}")
    return codes


def _plain(labels):
    """Labels as an array: of objects, where NumPy would make text of what is none, or rounds integers, or sorts in ways of its own."""
    if isinstance(labels, list | tuple):
        try:
            array = np.asarray(labels)
        except ValueError:  # ragged: no label is a list
            return np.fromiter(labels, object, len(labels))
        alike = {"U": str, "S": bytes, "f": float}.get(array.dtype.kind, object)
        objects = np.asarray(labels, object)
        return array if all(isinstance(label, alike) for label in objects.flat) else objects
    array = np.asarray(labels)
    return array.astype(object) if array.dtype.kind not in "iufUSOb" else array


def _place(places, label):
    try:
        return places.get(label, -1)
    except TypeError:  # not hashable, and then no label
        return -1
