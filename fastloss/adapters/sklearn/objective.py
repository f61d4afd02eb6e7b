"""Objectives of linear models: the cost of X @ w + b, and a penalty; value, gradient and Hessian product, ready for scipy.optimize."""

import math
from numbers import Real

import numpy as np

import fastloss as fl
from fastloss.adapters.sklearn.passes import Blocks
from fastloss.engine.memory import empty

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


class Objective:
    """cost(y, X @ w + b) + l2 / 2 * sum(w**2) + penalty(w), of theta = (w, b), or w alone.

    loss           a configured loss (or its text) of single predictions: fl.Logistic(), "huber:delta=2", ... Of the labels of several
                   classes: fl.LinearCrossEntropy
    X              (n, d), float32 or float64, in C or Fortran order, as it is: blocks of rows go through X @ w, the loss and the
                   product with its gradient while they are in cache, so that X is read once. A SciPy sparse matrix is read twice. Of
                   other types and strides a copy is made, once
    y              (n,) targets as the loss takes them; sample_weight: (n,) weights >= 0, or None
    penalty        what has penalty(w), penalty.gradient(w) and penalty.prox(w, step); for the Hessian also hessian_product(w, v). fl.L1,
                   say. The intercept is not penalised
    l2             a number >= 0. LogisticRegression(C=C) is l2 = 1 / (C * sum of weights), Ridge(alpha) of half_squared_error
                   alpha / sum of weights
    fit_intercept  theta ends with an intercept
    n_threads      None: as many as fastloss takes. While it runs, BLAS keeps to one thread in the whole process (threadpoolctl; without
                   it, BLAS's threads do the work)

    theta is (d,) or (d + 1,), of float64 (other numbers are converted); gradients are float64. The cost is the correctly rounded mean of
    the losses of the predictions; these are BLAS's, in the dtype of X, as the gradient's sums over some thousand rows are, and may differ
    in their last digits with its version and kernels, but not with n_threads. Buffers of n predictions (and Hessians, once they are asked
    for) are kept: an objective is not for several threads at once. Errors: TypeError and ValueError for what does not fit, InputError for
    values outside of the loss's domain.

    >>> from scipy.optimize import minimize
    >>> x = np.random.default_rng(0).standard_normal((500, 3))
    >>> y = x @ [1.0, -2.0, 0.5] > np.random.default_rng(1).logistic(size=500)
    >>> logistic = Objective(fl.Logistic(), x, y, l2=1 / (0.5 * 500))
    >>> found = minimize(logistic, np.zeros(4), jac=True, hessp=logistic.hessian_product, method="trust-ncg", options={"gtol": 1e-9})
    >>> from sklearn.linear_model import LogisticRegression
    >>> theirs = LogisticRegression(C=0.5, tol=1e-10).fit(x, y)
    >>> bool(np.abs(found.x - [*theirs.coef_[0], *theirs.intercept_]).max() < 1e-6)
    True
    """

    def __init__(self, loss, X, y, sample_weight=None, *, penalty=None, l2=0.0, fit_intercept=True, n_threads=None):
        self.loss = fl.get(loss)
        if self.loss.definition.rows or self.loss.definition.base or self.loss.definition.terms:
            what = "; of several classes: fl.LinearCrossEntropy" if self.loss.definition.rows else ""
            raise TypeError(f"`loss` must have a loss for each single prediction, `{self.loss.name}` has not{what}")
        if n_threads is not None and (isinstance(n_threads, bool) or not isinstance(n_threads, int) or n_threads < 1):
            raise ValueError(f"`n_threads` must be a whole number from 1, or None, got {n_threads!r}")
        if isinstance(l2, bool) or not isinstance(l2, Real) or not 0 <= l2 < math.inf:
            raise ValueError(f"`l2` must be a finite number >= 0, got {l2!r}")
        self.sparse = hasattr(X, "tocsr")
        self.X = X.tocsr() if self.sparse else _matrix(X)
        self.n, self.d = self.X.shape
        self.y, self.w = np.asarray(y), None if sample_weight is None else np.asarray(sample_weight)
        for name, array in (("y", self.y), ("sample_weight", self.w)):
            if array is not None and array.shape != (self.n,):
                raise ValueError(f"`{name}` must have shape ({self.n},), one for each row of `X`, got shape {array.shape}")
        self.total = float(self.n if self.w is None else self.w.sum(dtype=np.float64))
        if not 0 < self.total < math.inf:
            raise ValueError(
                f"there is nothing to divide by: {'`X` has no rows' if self.w is None else f'the weights sum to {self.total}'}"
            )
        self.penalty, self.l2, self.fit_intercept, self.n_threads = penalty, float(l2), bool(fit_intercept), n_threads
        self.size = self.d + self.fit_intercept
        self.blocks = Blocks(self.n, self.d, self.X.dtype.itemsize, n_threads)
        self.z, self.h, self.at, self.hessian_at = empty(self.n, self.X.dtype), None, None, None

    def value(self, theta):
        """The objective, a float."""
        theta = self._theta(theta)
        self._predict(theta)
        return self._cost() + self._penalised(theta[: self.d])

    def value_gradient(self, theta):
        """(value, gradient), in one pass over X: scipy.optimize.minimize(objective, theta, jac=True) calls this."""
        self._refuse_kinks()
        value, gradient = self.smooth(theta)
        if self.penalty is not None:
            w = self._theta(theta)[: self.d]
            value += float(self.penalty(w))
            gradient[: self.d] += self.penalty.gradient(w)
        return value, gradient

    __call__ = value_gradient

    def gradient(self, theta):
        """The gradient, (d,) or (d + 1,) of float64."""
        return self.value_gradient(theta)[1]

    def smooth(self, theta):
        """(value, gradient) of the cost and l2 alone, what a proximal gradient step goes down before ``prox``."""
        theta = self._theta(theta)
        gradient = self._pass(theta, self._slopes)
        self.at = theta
        gradient[: self.d] += self.l2 * theta[: self.d]
        return self._cost() + self._ridge(theta[: self.d]), gradient

    def prox(self, theta, step=1.0):
        """The proximal operator of the penalty on w; the intercept stays."""
        theta = self._theta(theta)
        if self.penalty is not None:
            theta[: self.d] = self.penalty.prox(theta[: self.d], step)
        return theta

    def hessian_product(self, theta, v):
        """The Hessian at theta times v, float64; scipy.optimize's hessp. The losses' second derivatives are kept for the next v."""
        theta, v = self._theta(theta), self._theta(v, "v")
        if self.penalty is not None and not hasattr(self.penalty, "hessian_product"):
            raise TypeError(f"the penalty {self.penalty!r} has no `hessian_product(w, v)`; for a ridge pass l2=")
        if self.hessian_at is None or not np.array_equal(theta, self.hessian_at):
            if self.at is None or not np.array_equal(theta, self.at):
                self._predict(theta)
            self.h = empty(self.n, self.z.dtype) if self.h is None else self.h
            scratch = empty(self.n, self.z.dtype)
            self.loss.gradient_hessian(self.y, self.z, self.w, gradient_out=scratch, hessian_out=self.h, n_threads=self.n_threads)
            self.hessian_at = theta
        product = self._pass(v, lambda start, stop, z: np.multiply(z, self.h[start:stop], out=z), empty(self.n, self.z.dtype))
        product[: self.d] += self.l2 * v[: self.d]
        if self.penalty is not None:
            product[: self.d] += self.penalty.hessian_product(theta[: self.d], v[: self.d])
        return product

    def _slopes(self, start, stop, z):
        """The gradients of some predictions."""
        weights = None if self.w is None else self.w[start:stop]
        try:
            return self.loss.gradient(self.y[start:stop], z, weights, n_threads=1)
        except fl.InputError as error:
            raise fl.InputError(error.loss, error.argument, error.allowed, error.value, error.index + start, error.remedy) from None

    def _cost(self):
        return self.loss(self.y, self.z, self.w, n_threads=self.n_threads)

    def _ridge(self, w):
        return 0.5 * self.l2 * float(w @ w) if self.l2 else 0.0

    def _penalised(self, w):
        return self._ridge(w) + (0.0 if self.penalty is None else float(self.penalty(w)))

    def _theta(self, theta, name="theta"):
        array = np.array(theta, np.float64)
        if array.shape != (self.size,):
            what = f"{self.d} coefficients" + (" and the intercept" if self.fit_intercept else "")
            raise ValueError(f"`{name}` must have shape ({self.size},), {what}, got shape {array.shape}")
        return array

    def _refuse_kinks(self):
        """A penalty whose proximal operator takes what is nearly 0 to 0 has a kink there, and no gradient."""
        if self.penalty is not None and hasattr(self.penalty, "prox") and not np.any(self.penalty.prox(np.full(self.d, 1e-100), 1.0)):
            raise TypeError(
                f"the penalty {self.penalty!r} has no gradient where coefficients are 0, and its minima are there: take proximal steps, "
                "theta = objective.prox(theta - step * objective.smooth(theta)[1], step)"
            )

    def _predict(self, theta):
        """X @ w + b, into the buffer."""
        self._pass(theta, None)
        self.at = theta

    def _pass(self, theta, slopes, z=None):
        """sum over rows of slopes(X @ w + b) * (row, 1), over the sum of weights: one pass. z: the buffer for predictions, which are all
        that is wanted if slopes is None."""
        if z is None:
            z, self.at, self.hessian_at = self.z, None, None
        coefficients, intercept = theta[: self.d].astype(self.X.dtype), theta[self.d :].astype(self.X.dtype)
        if self.sparse:
            z[...] = self.X @ coefficients
            if self.fit_intercept:
                z += intercept
            if slopes is None:
                return None
            g = slopes(0, self.n, z)
            sums = [self.X.T @ g, [g.sum(dtype=np.float64)] * self.fit_intercept]
            return np.concatenate(sums).astype(np.float64) / self.total
        sums = np.zeros((self.blocks.count, self.size))

        def work(slab, blocks):
            part, own = np.empty(self.d, self.X.dtype), sums[slab]
            for start, stop in blocks:
                rows, predictions = self.X[start:stop], z[start:stop]
                if not self.blocks.small:
                    rows.max()  # one stream through the block, into cache: three times as fast as BLAS's products read from memory
                np.dot(rows, coefficients, out=predictions)
                if self.fit_intercept:
                    predictions += intercept
                if slopes is None:
                    continue
                g = slopes(start, stop, predictions)
                own[: self.d] += np.dot(g, rows, out=part)
                if self.fit_intercept:
                    own[self.d] += g.sum(dtype=np.float64)

        self.blocks.run(work)
        return sums.sum(axis=0) / self.total


def _matrix(X):
    """An array of two dimensions that BLAS takes as it is."""
    array = np.asarray(X)
    if array.ndim != 2 or not array.shape[1]:
        raise ValueError(f"`X` must have shape (n, d), rows of d features, got shape {array.shape}")
    if array.dtype not in FLOATS:
        if array.dtype.kind not in "biuf":
            raise TypeError(f"`X` must be an array of numbers, got dtype {array.dtype}")
        array = array.astype(np.float32 if array.dtype == np.float16 else np.float64)
    rows, columns = array.strides
    size, (n, d) = array.itemsize, array.shape
    ready = (columns == size and rows >= d * size and not rows % size) or (rows == size and columns >= n * size and not columns % size)
    return array if ready and array.flags.aligned else np.ascontiguousarray(array)
