"""Penalties on parameters: what an objective adds to a cost. Their sums are exact, as those of losses are."""

import math

import numpy as np

from fastloss.engine import memory
from fastloss.engine.specs import get
from fastloss.losses.spec import NONNEGATIVE, UNIT, Parameter

STRENGTH, SHARE = Parameter(1.0, NONNEGATIVE), Parameter(0.5, UNIT)


class Penalty:
    """Base of all penalties. theta: a float array of any shape (alpha is rounded to its dtype); results have its dtype.

    penalty(theta) -> float; penalty.gradient(theta), where it has none 0, as least squares solvers take it; penalty.value_gradient(theta);
    penalty.prox(theta, step=1.0), the proximal operator: the x that minimises (x - theta)**2 / 2 + step * penalty(x).
    Results go into ``out`` where that is given, which may be theta itself.
    """

    __slots__ = ("alpha",)

    def __init__(self, alpha=1.0):
        self.alpha = STRENGTH.check(type(self).__name__, "alpha", alpha)

    def value_gradient(self, theta, out=None):
        """(value, gradient)."""
        value = self(theta)  # before ``out`` may lie over theta
        return value, self.gradient(theta, out)

    def __eq__(self, other):
        return type(other) is type(self) and repr(other) == repr(self)

    def __hash__(self):
        return hash(repr(self))

    def __repr__(self):
        return f"{type(self).__name__}(alpha={self.alpha!r})"


def _floats(theta):
    theta = np.asarray(theta)
    if theta.dtype.kind in "iub":
        return theta.astype(np.float64)
    if theta.dtype.kind != "f":
        raise TypeError(f"`theta` must be an array of numbers, got {theta.dtype}")
    return theta


def _step(step):
    if not (isinstance(step, int | float | np.number) and math.isfinite(step) and step >= 0):
        raise ValueError(f"`step` must be a finite number >= 0, got {step!r}")
    return float(step)


def _sum(name, theta):
    """The exact sum of a loss of theta against 0."""
    return get(name)(0.0, theta, reduction="sum")


def _room(theta, out):
    """Where a result goes: ``out``, else new memory if there is much of it; of little NumPy makes its own."""
    return memory.empty_like(theta) if out is None and theta.size >= memory.LONG else out


def _shrunk(theta, by, out):
    """theta, nearer to 0 by so much, and not beyond."""
    size = np.maximum(np.abs(theta) - theta.dtype.type(by), 0)
    return np.copysign(size, theta, out=_room(theta, out))


class L2(Penalty):
    """alpha / 2 * sum(theta**2): ridge, weight decay. Beside the sum of n losses alpha is 1 / C of scikit-learn's LogisticRegression, and
    twice the alpha of its Ridge; beside their mean it is that divided by n. hessian_product(theta, v) is alpha * v."""

    __slots__ = ()

    def __call__(self, theta):
        return self.alpha * _sum("half_squared_error", _floats(theta))

    def gradient(self, theta, out=None):
        theta = _floats(theta)
        return np.multiply(theta, theta.dtype.type(self.alpha), out=_room(theta, out))

    def hessian_product(self, theta, v):
        return self.alpha * _floats(v)

    def prox(self, theta, step=1.0, out=None):
        theta = _floats(theta)
        return np.divide(theta, theta.dtype.type(1.0 + _step(step) * self.alpha), out=_room(theta, out))


class L1(Penalty):
    """alpha * sum(|theta|): lasso. Its gradient at 0 is taken as 0; prox is the soft threshold."""

    __slots__ = ()

    def __call__(self, theta):
        return self.alpha * _sum("absolute_error", _floats(theta))

    def gradient(self, theta, out=None):
        theta = _floats(theta)
        return np.multiply(np.sign(theta), theta.dtype.type(self.alpha), out=_room(theta, out))

    def prox(self, theta, step=1.0, out=None):
        return _shrunk(_floats(theta), _step(step) * self.alpha, out)


class ElasticNet(Penalty):
    """alpha * (l1_ratio * sum(|theta|) + (1 - l1_ratio) / 2 * sum(theta**2)), as scikit-learn's ElasticNet has it."""

    __slots__ = ("l1", "l1_ratio", "l2")

    def __init__(self, alpha=1.0, l1_ratio=0.5):
        super().__init__(alpha)
        self.l1_ratio = SHARE.check("ElasticNet", "l1_ratio", l1_ratio)
        self.l1, self.l2 = L1(self.alpha * self.l1_ratio), L2(self.alpha * (1.0 - self.l1_ratio))

    def __call__(self, theta):
        return self.l1(theta) + self.l2(theta)

    def gradient(self, theta, out=None):
        theta = _floats(theta)
        return np.add(self.l1.gradient(theta), self.l2.gradient(theta), out=_room(theta, out))

    def prox(self, theta, step=1.0, out=None):
        return self.l2.prox(self.l1.prox(theta, step), step, out)  # in this order it is that of the sum

    def __repr__(self):
        return f"ElasticNet(alpha={self.alpha!r}, l1_ratio={self.l1_ratio!r})"


class GroupLasso(Penalty):
    """alpha * sum over groups g of sqrt(size of g) * norm(theta[g]): groups are zero together, or not (Yuan and Lin 2006).

    groups   a number for each element of theta, of its group; one of -1 or less is in no group, and costs nothing
    weights  one for each group, from 0 on, instead of the square roots of their sizes
    """

    __slots__ = ("groups", "weights")

    def __init__(self, groups, alpha=1.0, weights=None):
        super().__init__(alpha)
        groups = np.asarray(groups)
        if groups.dtype.kind not in "iu" or groups.size == 0:
            raise ValueError(f"`groups` of `GroupLasso` must be integers, one for each element of theta, got {groups!r}")
        self.groups = groups.astype(np.intp)
        sizes = np.bincount(self.groups[self.groups >= 0])
        weights = np.sqrt(sizes) if weights is None else np.asarray(weights, np.float64)
        if weights.shape != sizes.shape or not (np.isfinite(weights).all() and (weights >= 0).all()):
            raise ValueError(f"`weights` of `GroupLasso` must be {len(sizes)} finite numbers >= 0, one for each group, got {weights!r}")
        self.weights = weights

    def _norms(self, theta):
        """(theta, groups without those of no group, where they are, norm of each group); squares do not leave the range of float64."""
        if theta.shape != self.groups.shape:
            raise ValueError(f"`theta` has shape {theta.shape}, but `groups` has {self.groups.shape}; they must be equal")
        inside = self.groups >= 0
        groups, values = self.groups[inside], theta[inside].astype(np.float64)
        largest = np.zeros(len(self.weights))
        np.maximum.at(largest, groups, np.abs(values))
        scale = np.where((largest > 0) & np.isfinite(largest), largest, 1.0)
        return inside, groups, scale * np.sqrt(np.bincount(groups, (values / scale[groups]) ** 2, len(scale)))

    def __call__(self, theta):
        return self.alpha * math.fsum((self.weights * self._norms(_floats(theta))[2]).tolist())

    def _scaled(self, theta, factors, rest, out):
        """theta, each group times its factor(norm), and what is in no group times ``rest``."""
        theta = _floats(theta)
        inside, groups, norms = self._norms(theta)
        factor = np.full(theta.shape, rest, np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            factor[inside] = factors(norms)[groups]
        return np.multiply(theta, factor.astype(theta.dtype), out=_room(theta, out))

    def gradient(self, theta, out=None):
        return self._scaled(theta, lambda norms: np.where(norms == 0, 0.0, self.alpha * self.weights / norms), 0.0, out)

    def prox(self, theta, step=1.0, out=None):
        by = _step(step) * self.alpha * self.weights
        return self._scaled(theta, lambda norms: np.where(norms == 0, 0.0, np.maximum(1.0 - by / norms, 0.0)), 1.0, out)

    def __repr__(self):
        return f"GroupLasso(groups={self.groups.tolist()!r}, alpha={self.alpha!r}, weights={self.weights.tolist()!r})"
