"""A configured loss: a definition with its parameters fixed (parametrized.py), and what every call goes through."""

import contextlib
import math

import numpy as np

from fastloss.engine import backends, foreign
from fastloss.engine.environment import ieee
from fastloss.engine.exact import as_int
from fastloss.engine.parametrized import Parametrized
from fastloss.engine.run import Tally, closed_bounds, run
from fastloss.losses import find
from fastloss.losses.functions import exp
from fastloss.losses.spec import Labels

REDUCTIONS = ("mean", "sum")
OUTER = {None: lambda cost: cost, "sqrt": ieee(math.sqrt), "exp": ieee(exp)}
DERIVED = {"sqrt": "root", "exp": "exponential"}


class NoCalls:
    """The short way of backends that have none: every call is left to the general one."""

    cost = outputs = cost_gradient = at = staticmethod(lambda *arguments: None)


class Loss(Parametrized):
    """Base of all losses. Arrays: y_true and y_pred of one shape (any), or a scalar for either; sample_weight likewise, or None.

    dtypes      predictions float16, bfloat16, float32 compute in float32, float64 (or integers, or a float64 target) in float64;
                targets may be of any integer, bool or float type, and are not copied; any strides, any byte order. What computes in
                float32 has its targets rounded to that: integers above 2**24 go with float64 predictions
    parameters  read-only attributes, Huber(delta=2).delta, and together in .parameters, a mapping
    outputs     per-sample outputs have the prediction's dtype, and are multiplied by sample_weight where there is one
    errors      TypeError for dtypes, ValueError for shapes and parameters, InputError (a ValueError) for values outside the domain,
                naming the first: the least index, and there the weight before y_true before y_pred. It comes up on the way through
                the data, when outputs may hold some results already; inputs that these lie over are still as given at that index
    """

    __slots__ = ("_bound", "_calls")

    def __init__(self, /, *args, **kwargs):
        super().__init__(*args, **kwargs)
        object.__setattr__(self, "_bound", {})
        object.__setattr__(self, "_calls", None)

    # weighted sums of losses: engine/composite.py
    __array_ufunc__ = None  # or NumPy's numbers would take a loss for an array

    def __mul__(self, factor):
        from fastloss.engine.composite import scaled

        return scaled(self, factor)

    __rmul__ = __mul__

    def __truediv__(self, divisor):
        return self * (1 / divisor)

    def __add__(self, other):
        if not isinstance(other, Loss):
            return NotImplemented
        from fastloss.engine.composite import added

        return added(self, other)

    def __radd__(self, other):
        return self if isinstance(other, int) and other == 0 else NotImplemented  # as the built-in sum() begins

    def __sub__(self, other):
        raise TypeError("losses are added, with weights > 0: a difference of losses is none to be lowered")

    @property
    def bits(self):
        """The family within which its results agree to the last bit: the backend's, or of an own loss beside compiled kernels Numba's."""
        backend = backends.current()
        return "numba" if self.definition.own and backend.name == "cython" else backend.bits

    @property
    def kernel(self):
        """The definition whose formulas are computed: its own, or for a derived cost that of its base."""
        return find(self.definition.base) if self.definition.base else self.definition

    # what a State asks of the losses it has: how to take data through them, what they add up to, what else tells them apart
    run, new_tally = staticmethod(run), Tally

    def configured(self):
        return ()

    def computed(self):
        """The losses whose tallies its cost is made of: itself."""
        return (self,)

    def cost_of(self, tallies, nan):
        """The cost, of the tallies of what is computed."""
        return self.finish(tallies[0], nan)

    def bound(self, dtype):
        """The backend's kernel for this loss and compute dtype."""
        if dtype not in self._bound:
            self._bound[dtype] = self._bind(dtype)
        return self._bound[dtype]

    @ieee
    def _bind(self, dtype):
        kernel = self.kernel
        numbers = tuple(self._number(name, parameter, dtype) for name, parameter in kernel.parameters.items())
        signed = isinstance(kernel.target, Labels) and kernel.target.low == -1.0
        target, prediction = closed_bounds(kernel.target, dtype), closed_bounds(kernel.prediction, dtype)
        return backends.current().bind(kernel, dtype, numbers, target, prediction, signed)

    def _number(self, name, parameter, dtype):
        """A parameter as a kernel gets it; rounded to the dtype it must still be in its domain."""
        with np.errstate(over="ignore", under="ignore"):
            number = float(np.dtype(dtype).type(parameter.number(self.parameters[name], dtype)))
        if self.parameters[name] not in parameter.names and not (math.isfinite(number) and number in parameter.domain):
            raise ValueError(f"`{name}` of `{self.name}` must be {parameter.allowed()}; {self.parameters[name]!r} is {number!r} in {dtype}")
        return number

    def calls(self):
        """The short way for plain arrays: the backend's, or one that leaves every call to the general way."""
        if self._calls is None:
            backend, calls = backends.current(), NoCalls
            if hasattr(backend, "calls"):
                calls = backend.calls(self._bound_or_none("float32"), self._bound_or_none("float64"), self.definition.root)
            object.__setattr__(self, "_calls", calls)
        return self._calls

    def c_loss(self):
        """This loss for C, Cython and other compiled callers: a PyCapsule named "fastloss.loss.1" with a ``fastloss_loss`` of fastloss.h
        (see fastloss.get_include()), which fastloss_get and fastloss_get_object copy out of it. TypeError for losses that are not of
        single predictions; RuntimeError where there are no compiled kernels."""
        self._no_derived("a loss of each sample")
        if self.definition.rows or self.definition.terms:
            raise TypeError(f"`{self.name}` has no form for C: only losses of single predictions have")
        backend = backends.current()
        if not hasattr(backend, "capsule"):
            raise RuntimeError(f"losses for C need fastloss's compiled kernels, and the backend is {backend.name}: see `fastloss info`")
        return backend.capsule(self.bound("float32"), self.bound("float64"))

    def _bound_or_none(self, dtype):
        try:
            return self.bound(dtype)
        except ValueError:  # a parameter that does not survive rounding to this dtype; who uses it gets to hear of it
            return None

    def __call__(self, y_true, y_pred, sample_weight=None, *, reduction="mean", nan="propagate", n_threads=None):
        """The cost: sum(w * loss) / sum(w) as a float, correctly rounded; with reduction="sum" the sum alone.

        nan        "propagate": a NaN loss makes the cost NaN; "skip": such samples are left out of both sums; "raise": ValueError
        n_threads  None for as many as pay. The result has the same bits for any number.
        An empty mean, or one of weights that sum to 0, is a ValueError; an empty sum is 0.
        """
        if reduction == "mean" and nan == "propagate":
            cost = (self._calls or self.calls()).cost(y_true, y_pred, sample_weight, n_threads)
            if cost is not None:
                return cost
        elif (reduction == "mean" or reduction == "sum") and (nan == "propagate" or nan == "skip"):
            cost = self.calls().cost(y_true, y_pred, sample_weight, n_threads, reduction == "sum", nan == "skip")
            if cost is not None:
                return cost
        if reduction not in REDUCTIONS:
            raise ValueError(f"`reduction` must be one of {', '.join(map(repr, REDUCTIONS))}, got {reduction!r}")
        (tally,), _ = run([self], y_true, y_pred, sample_weight, nan=nan, n_threads=n_threads)
        return self.finish(tally, nan, reduction)

    def finish(self, tally, nan="propagate", reduction="mean"):
        """A tally's cost or sum."""
        if reduction == "sum":
            if self.definition.base:
                what = DERIVED[self.definition.outer]
                raise ValueError(f"`{self.name}` is the {what} of a mean and has no sum; use `{self.definition.base}`")
            return tally.sum(nan == "skip")
        if tally.weight == 0:
            raise ValueError(f"the mean of `{self.name}` has nothing to divide by: {tally.nothing()}")
        return OUTER[self.definition.outer](tally.mean(nan == "skip"))

    def loss(self, y_true, y_pred, sample_weight=None, loss_out=None, n_threads=None):
        """The loss of every sample (times its weight), shaped as y_pred; into loss_out if given."""
        return self._outputs(1, y_true, y_pred, sample_weight, loss_out, None, None, n_threads)

    def gradient(self, y_true, y_pred, sample_weight=None, gradient_out=None, n_threads=None):
        """The derivative of every sample's loss with respect to its prediction."""
        return self._outputs(2, y_true, y_pred, sample_weight, None, gradient_out, None, n_threads)

    def loss_gradient(self, y_true, y_pred, sample_weight=None, loss_out=None, gradient_out=None, n_threads=None):
        """(loss, gradient) of every sample, in one pass."""
        return self._outputs(3, y_true, y_pred, sample_weight, loss_out, gradient_out, None, n_threads)

    def gradient_hessian(self, y_true, y_pred, sample_weight=None, gradient_out=None, hessian_out=None, n_threads=None):
        """(gradient, hessian) of every sample, in one pass."""
        return self._outputs(6, y_true, y_pred, sample_weight, None, gradient_out, hessian_out, n_threads)

    def loss_gradient_hessian(self, y_true, y_pred, sample_weight=None, loss_out=None, gradient_out=None, hessian_out=None, n_threads=None):
        """(loss, gradient, hessian) of every sample, in one pass."""
        return self._outputs(7, y_true, y_pred, sample_weight, loss_out, gradient_out, hessian_out, n_threads)

    def _outputs(self, parts, y_true, y_pred, sample_weight, loss_out, gradient_out, hessian_out, n_threads):
        """Loss (1), gradient (2), Hessian (4): those whose numbers add up to ``parts``."""
        calls = self._calls or self.calls()
        found = calls.outputs(parts, y_true, y_pred, sample_weight, loss_out, gradient_out, hessian_out, n_threads)
        if found is None and any(map(foreign.is_foreign, (y_true, y_pred, sample_weight))):
            y_true, y_pred, sample_weight = foreign.converted(y_true, y_pred, sample_weight)
            found = calls.outputs(parts, y_true, y_pred, sample_weight, loss_out, gradient_out, hessian_out, n_threads)
        if found is not None:
            return found
        self._no_derived("a loss of each sample")
        wanted, outputs = tuple(parts & part > 0 for part in (1, 2, 4)), (loss_out, gradient_out, hessian_out)
        _, arrays = run([self], y_true, y_pred, sample_weight, outputs=outputs, wanted=wanted, summed=False, n_threads=n_threads)
        results = [array if array.ndim else array[()] for array in arrays if array is not None]
        return results[0] if len(results) == 1 else tuple(results)

    def cost_gradient(self, y_true, y_pred, sample_weight=None, gradient_out=None, n_threads=None, *, divisor=None):
        """(cost, gradient of the cost): w * gradient / sum(w), what an optimiser wants. In one pass over y and p. Of rows,
        gradient_out=y_pred overwrites the scores.

        divisor  a number > 0 that both are divided by instead of sum(w): 1 for the sum, the number of samples for libraries whose mean
                 divides by that whatever the weights
        """
        calls = self._calls or self.calls()
        found = calls.cost_gradient(y_true, y_pred, sample_weight, gradient_out, n_threads, divisor)
        plain = calls is NoCalls or self.definition.rows
        if found is None and not plain and any(map(foreign.is_foreign, (y_true, y_pred, sample_weight))):
            y_true, y_pred, sample_weight = foreign.converted(y_true, y_pred, sample_weight)
            found = calls.cost_gradient(y_true, y_pred, sample_weight, gradient_out, n_threads, divisor)
        if found is not None:
            return found
        self._no_derived("a gradient of each sample")
        divisor = None if divisor is None else _float(divisor)
        (tally,), arrays = self.run(
            [self], y_true, y_pred, sample_weight, outputs=(None, gradient_out, None), wanted=(False, True, False),
            of_the_cost=divisor is None, scale=1.0 if divisor is None else _inverse(divisor), n_threads=n_threads,
        )  # fmt: skip
        if divisor is not None:
            tally.weight = as_int(divisor)
        return self.finish(tally), arrays[1] if arrays[1].ndim else arrays[1][()]

    def _no_derived(self, what):
        if self.definition.base:
            of = DERIVED[self.definition.outer]
            raise TypeError(f"`{self.name}` is the {of} of a mean: it is a cost, without {what}; use `{self.definition.base}`")


def _float(divisor):
    """A divisor as a float: float32's own numbers would round what it is compared with."""
    number = math.nan
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        number = number if isinstance(divisor, str | bytes) else float(divisor)
    if not 1e-290 < number < 1e290:
        raise ValueError(f"`divisor` must be a number from 1e-290 to 1e290, got {divisor!r}")
    return number


@ieee
def _inverse(divisor):
    return 1.0 / divisor
