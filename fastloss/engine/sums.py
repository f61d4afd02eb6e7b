"""Costs computed from the exact sums of a few terms over all samples (losses/overlap.py): no means, and nothing per sample.

A term is an ordinary kernel. All of them, and all other losses of a State, go through the data in one pass; their exact sums are what is
kept, merged and written. The cost is a function of fractions, rounded once. Its gradient takes a second pass: by the chain rule it is the
gradient of one more kernel, whose parameters are the derivatives of the cost by the sums.
"""

import functools
import math
from fractions import Fraction

import numpy as np

from fastloss.engine.configured import REDUCTIONS, Loss, NoCalls
from fastloss.engine.dtypes import compute_dtype
from fastloss.engine.environment import ieee
from fastloss.engine.errors import InputError
from fastloss.engine.exact import ONE, quotient
from fastloss.engine.inputs import as_array
from fastloss.engine.rowinputs import matrix, plain, seen_as_rows, target_dtype
from fastloss.engine.rows import RowTally, outputs_of
from fastloss.engine.run import Tally, run
from fastloss.losses.spec import TERMS

# Blocks of rows, whose columns are taken one after the other. Measured, 2 cores of Zen 4: a block's numbers stay in a cache, and a column
# is long enough for what each call costs. More than a few classes are copied, so many together, from rows to columns: in ns a number, of 3
# classes 2.9 so and 2.3 not, of 10 3.2 and 7.1, of 100 7.8 and 10.4, of 1,000 16 and 21.
NUMBERS, ROWS, FEW, TOGETHER = 1 << 20, 1 << 13, 8, 64
mean = ieee(lambda values: math.fsum(values) / len(values))


class ColumnsTally(RowTally):
    """The tallies of C columns, as those of labels 0 to C - 1, and their sum."""

    __slots__ = ()

    def column(self, j, tally):
        super(RowTally, self).merge(tally)
        self.labels[j].merge(tally)


class Term(Loss):
    """What a cost sums, or its slope, with parameters; in errors it has the cost's name. columns: each class's own sum is wanted."""

    __slots__ = ("definition", "cost", "columns")

    def __init__(self, name, cost, columns, *parameters):
        for attribute, value in (("definition", TERMS[name]), ("cost", cost), ("columns", columns)):
            object.__setattr__(self, attribute, value)
        super().__init__(*parameters)

    def __reduce__(self):
        return Term, (self.definition.name, self.cost, self.columns, *self.parameters.values())

    @property
    def name(self):
        return self.cost

    @property
    def run(self):
        return run_columns if self.columns else run

    @property
    def new_tally(self):
        return ColumnsTally if self.columns else Tally

    def configured(self):
        return (self.columns,)


summed = functools.cache(Term)


class SumsLoss(Loss):
    """Base of all costs that are computed from sums over all samples. Arrays: y_true and y_pred of one shape (any), or a scalar for either;
    sample_weight likewise, or None. With average="macro" or None the last axis is that of the C classes, (N, C) or (..., C) or a list of C
    columns, and sample_weight has one weight per row, or the arrays' shape.

    dtypes      predictions float16, bfloat16, float32 compute the terms in float32, float64 (or integers, or a float64 target) in
                float64; their sums are exact
    outputs     no loss per sample; the gradient of the cost has the prediction's dtype
    errors      TypeError for dtypes and for what there is not, ValueError for shapes and parameters, InputError (a ValueError) for
                values outside the domain, with their index
    """

    __slots__ = ()

    def calls(self):
        """There is no short way."""
        object.__setattr__(self, "_calls", NoCalls)
        return NoCalls

    @property
    def columns(self):
        """Does each class have sums of its own?"""
        return self.parameters.get("average", "micro") != "micro"

    def computed(self):
        return tuple(summed(name, self.name, self.columns) for name in self.definition.terms)

    @property
    def numbers(self):
        """The parameters of the cost's formula, as fractions."""
        return [Fraction(self._number(name, parameter, "float64"))
                for name, parameter in self.definition.parameters.items() if name != "average"]  # fmt: skip

    def __call__(self, y_true, y_pred, sample_weight=None, *, reduction="mean", nan="propagate", n_threads=None):
        """The cost: a float, correctly rounded from exact sums; with average=None a float64 array of the C classes' costs.

        reduction  "mean", the cost; there is no other
        nan        "propagate": a NaN among y_true and y_pred makes the cost NaN; "skip": such samples are left out; "raise": ValueError
        n_threads  None for as many as pay. The result has the same bits for any number.
        No samples, or weights that sum to 0, is a ValueError.
        """
        if reduction not in REDUCTIONS:
            raise ValueError(f"`reduction` must be one of {', '.join(map(repr, REDUCTIONS))}, got {reduction!r}")
        self._mean_only(reduction)
        terms = self.computed()
        tallies, _ = terms[0].run(terms, y_true, y_pred, sample_weight, nan=nan, n_threads=n_threads)
        return self.cost_of(tallies, nan)

    def cost_of(self, tallies, nan):
        costs = [self._rounded(self._sums(group, nan)) for group in self._groups(tallies)]
        average = self.parameters.get("average", "micro")
        return np.array(costs) if average is None else mean(costs) if average == "macro" else costs[0]

    def _groups(self, tallies):
        """The tallies of the terms; of each class, where classes have their own."""
        if self.columns and not tallies[0].labels:
            raise ValueError(f"`{self.name}` has nothing to divide by: no samples")
        return [[tally.labels[j] for tally in tallies] for j in range(len(tallies[0].labels))] if self.columns else [tallies]

    def _sums(self, tallies, nan):
        """The sums as fractions, or as floats if one of them is NaN or infinite."""
        if any(tally.weight == 0 for tally in tallies):
            raise ValueError(f"`{self.name}` has nothing to divide by: {tallies[0].nothing()}")
        found = [tally.sum(nan == "skip") for tally in tallies]
        return [Fraction(tally.total, ONE) for tally in tallies] if all(map(math.isfinite, found)) else found

    def _rounded(self, sums):
        value = self.definition.body.value(*sums, *(self.numbers if isinstance(sums[0], Fraction) else map(float, self.numbers)))
        return value if isinstance(value, float) else quotient(value.numerator, value.denominator)

    def cost_gradient(self, y_true, y_pred, sample_weight=None, gradient_out=None, n_threads=None):
        """(cost, gradient of the cost by each number of y_pred). Two passes over y_true and y_pred; gradient_out may be y_pred. TypeError
        with average=None, where there is more than one cost."""
        if self.parameters.get("average", "micro") is None:
            raise TypeError(f"`{self.name}` with average=None has C costs, and no one gradient; use average='macro' or 'micro'")
        terms = self.computed()
        tallies, _ = terms[0].run(terms, y_true, y_pred, sample_weight, n_threads=n_threads)
        cost, groups = self.cost_of(tallies, "propagate"), self._groups(tallies)
        slopes = [self._slope(self._sums(group, "propagate"), len(groups)) for group in groups]
        if self.columns:
            return cost, _gradient_columns(slopes, y_true, y_pred, sample_weight, gradient_out, n_threads)
        ((slope, scale),) = slopes
        _, arrays = run([slope], y_true, y_pred, sample_weight, outputs=(None, gradient_out, None), wanted=(False, True, False),
                        summed=False, scale=scale, n_threads=n_threads)  # fmt: skip
        return cost, arrays[1] if arrays[1].ndim else arrays[1][()]

    def _slope(self, sums, shared):
        """(the kernel of the gradient, what it is multiplied by), for one of so many costs whose mean is taken. Parameters in [-1, 1]."""
        slopes, scale = [1] * len(sums), math.nan  # of a cost that is NaN
        if isinstance(sums[0], Fraction):
            slopes = self.definition.body.slopes(*sums, *self.numbers)
            largest = max(map(abs, slopes))
            scale = quotient(largest.numerator, largest.denominator * shared)
            if largest and not 1e-290 < scale < 1e290:
                raise ValueError(
                    f"the gradient of `{self.name}` is of the order of {scale:g}, too near the ends of float64; scale the weights"
                )
            slopes = [float(slope / largest) for slope in slopes] if largest else slopes
        return Term(self.definition.slope, self.name, self.columns, *slopes), scale

    def finish(self, tally, nan="propagate", reduction="mean"):
        raise TypeError(f"`{self.name}` is made of more than one tally")  # cost_of takes them all

    def _mean_only(self, reduction):
        if reduction != "mean":
            raise ValueError(f"`{self.name}` is computed from sums over all samples: it is no mean, and has no sum of losses")

    def _outputs(self, *arguments):
        raise TypeError(f"`{self.name}` is computed from sums over all samples: it is a cost, without a loss of each sample; its gradient "
                        "is that of cost_gradient")  # fmt: skip


def _parts(y_true, y_pred, sample_weight):
    """(y, z, w, shape of the rows): matrices of equal shape, and weights of one dimension, or of two, or None or a scalar."""
    z, y = plain(matrix("y_pred", y_pred)), plain(matrix("y_true", y_true))
    if y.shape != z.shape:
        raise ValueError(f"`y_true` has shape {np.shape(y_true)}, but `y_pred` has {np.shape(y_pred)}; they must be equal")
    given = np.shape(y_pred)[:-1] if isinstance(z, np.ndarray) else z.shape[:1]
    w = None if sample_weight is None else as_array("sample_weight", sample_weight)
    if w is not None and w.ndim:
        if w.shape not in (given, (*given, z.shape[1])):
            raise ValueError(
                f"`sample_weight` has shape {w.shape}, but there must be one weight per row, {given}, or per number of `y_pred`"
            )
        w = w.reshape(-1) if w.shape == given else plain(matrix("sample_weight", w))
    return y, z, w, given


def _apart(part):
    """Are the numbers of a column so far apart in memory that several columns are better copied together?"""
    return isinstance(part, np.ndarray) and part.shape[1] > FEW and part.strides[1] < part.strides[0]


def _columns(part, rows, classes):
    """The columns of a block, each of one dimension: views, or of one copy. Weights may be the same for all classes."""
    if part is None or part.ndim < 2:
        return [part[rows] if part is not None and part.ndim else part] * (classes.stop - classes.start)
    if isinstance(part, np.ndarray):
        block = part[rows, classes].T
        return list(np.ascontiguousarray(block) if _apart(part) else block)
    return [column[rows] for column in part.arrays[classes]]


def _blocks(y, z, w):
    """(rows, classes) of blocks that cover the matrices; all classes of some rows follow each other."""
    n, count = z.shape
    in_rows = any(isinstance(part, np.ndarray) and part.strides[1] < part.strides[0] for part in (y, z))
    together = TOGETHER if any(map(_apart, (y, z))) else max(1, count)
    size = max(ROWS, NUMBERS // together) if in_rows else max(1, n)
    for start in range(0, n, size):
        for first in range(0, count, together):
            yield slice(start, min(n, start + size)), slice(first, min(count, first + together))


def _placed(error, rows, j, given, w):
    """The error of a column's block in terms of the whole."""
    index = np.unravel_index(rows.start + error.index, given)
    place = tuple(map(int, index)) + ((j,) if error.argument != "sample_weight" or w.ndim > 1 else ())
    return InputError(error.loss, error.argument, error.allowed, error.value, place if len(place) > 1 else place[0], error.remedy)


def run_columns(losses, y_true, y_pred, sample_weight, *, nan="propagate", n_threads=None):
    """As run.run, of each class by itself: (a ColumnsTally per loss, None)."""
    y, z, w, given = _parts(y_true, y_pred, sample_weight)
    tallies, errors = [ColumnsTally() for _ in losses], []
    for tally in tallies:
        if math.prod(given):  # empty arrays add nothing, not even how many classes there are
            tally.labels, tally.classes = {j: Tally() for j in range(z.shape[1])}, z.shape[1]
    for rows, classes in _blocks(y, z, w):
        if errors and classes.start == 0:
            break
        block = zip(range(classes.start, classes.stop), *(_columns(part, rows, classes) for part in (y, z, w)), strict=True)
        for j, targets, scores, weights in block:
            try:
                found, _ = run(losses, targets, scores, weights, nan=nan, n_threads=n_threads)
            except InputError as error:
                errors.append((error.index, j, error, rows))
                continue
            for into, tally in zip(tallies, found, strict=True):
                into.column(j, tally)
    if errors:  # the first in the order of the rows
        _, j, error, rows = min(errors, key=lambda found: found[:2])
        raise _placed(error, rows, j, given, w)
    return tallies, None


def _gradient_columns(slopes, y_true, y_pred, sample_weight, gradient_out, n_threads):
    y, z, w, given = _parts(y_true, y_pred, sample_weight)
    compute = compute_dtype(target_dtype(y), z.dtype)
    array = outputs_of((None, gradient_out, None), (False, True, False), given, z, y, w, compute)[1]
    array = seen_as_rows("gradient_out", array)
    for rows, classes in _blocks(y, z, w):
        block = [_columns(part, rows, classes) for part in (y, z, w)]
        into = array[rows, classes].T
        outputs = np.empty(into.shape, into.dtype) if _apart(array) else into
        for k, (targets, scores, weights) in enumerate(zip(*block, strict=True)):
            slope, scale = slopes[classes.start + k]
            run([slope], targets, scores, weights, outputs=(None, outputs[k], None), wanted=(False, True, False), summed=False,
                scale=scale, n_threads=n_threads)  # fmt: skip
        if outputs is not into:
            into[...] = outputs
    return gradient_out if gradient_out is not None else array.reshape(np.shape(y_pred)) if isinstance(y_pred, np.ndarray) else array
