"""The objective of scikit-learn's HuberRegressor: a linear model and the scale of its errors, fitted together."""

import math

import numpy as np

import fastloss as fl
from fastloss.adapters.sklearn.objective import Objective


class HuberScaleObjective(Objective):
    """sum over rows of weight * (sigma + 2 sigma huber((y - X @ w - b) / sigma)) + alpha * sum(w**2), huber of delta = epsilon; of
    theta = (w, b, sigma), sigma > 0: Huber's concomitant estimate of location and scale (1981), as HuberRegressor has it.

    epsilon  > 1: how many sigma are no outliers; alpha: >= 0. The rest is as in Objective; there is no Hessian.

    >>> from scipy.optimize import minimize
    >>> x = np.random.default_rng(0).standard_normal((300, 2))
    >>> y = x @ [3.0, -1.0] + 2 + np.random.default_rng(1).standard_t(1.5, size=300)
    >>> objective = HuberScaleObjective(x, y, epsilon=1.35, alpha=0.01)
    >>> bounds = [(None, None)] * 3 + [(1e-9, None)]
    >>> found = minimize(objective, [0.0, 0.0, 0.0, 1.0], jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 0, "gtol": 1e-7})
    >>> from sklearn.linear_model import HuberRegressor
    >>> theirs = HuberRegressor(epsilon=1.35, alpha=0.01, tol=1e-7, max_iter=1000).fit(x, y)
    >>> bool(np.abs(found.x - [*theirs.coef_, theirs.intercept_, theirs.scale_]).max() < 1e-4)  # theirs stops a little earlier
    True
    """

    def __init__(self, X, y, sample_weight=None, *, epsilon=1.35, alpha=1e-4, fit_intercept=True, n_threads=None):
        if not 1 < epsilon < math.inf or not 0 <= alpha < math.inf:
            raise ValueError(f"`epsilon` must be > 1, `alpha` >= 0, both finite; got {epsilon!r} and {alpha!r}")
        super().__init__(fl.HalfSquaredError(), X, y, sample_weight, fit_intercept=fit_intercept, n_threads=n_threads)
        self.epsilon, self.alpha = float(epsilon), float(alpha)

    def value_gradient(self, theta):
        """(value, gradient) of theta = (w, b, sigma), in one pass over X."""
        theta = np.array(theta, np.float64)
        if theta.shape != (self.size + 1,) or not theta[-1] > 0:
            raise ValueError(f"`theta` must have shape ({self.size + 1},) and end with a scale > 0, got {theta}")
        linear, sigma = theta[:-1], theta[-1]
        # 2 sigma huber_epsilon(r / sigma) = 2 / sigma huber(r) of delta = epsilon sigma, whose derivative by r is clip(r, -delta, delta);
        # with c = that / sigma, the derivative by sigma is 1 - c**2
        self.loss, squares = fl.Huber(self.epsilon * sigma), np.zeros(self.blocks.count if not self.sparse else 1)

        def slopes(start, stop, z):
            clipped = self.loss.gradient(self.y[start:stop], z, n_threads=1)
            weighed = clipped if self.w is None else clipped * self.w[start:stop]
            squares[start // self.blocks.slab] += np.dot(clipped.astype(np.float64), weighed)
            return weighed

        gradient = np.append(self._pass(linear, slopes), 0.0) * (2.0 * self.total / sigma)
        self.at = None
        w = linear[: self.d]
        gradient[: self.d] += 2.0 * self.alpha * w
        gradient[-1] = self.total - squares.sum() / sigma**2
        value = self.total * (sigma + 2.0 / sigma * self._cost()) + self.alpha * (w @ w)
        return float(value), gradient

    __call__ = value_gradient

    def gradient(self, theta):
        """The gradient by (w, b, sigma)."""
        return self.value_gradient(theta)[1]

    def value(self, theta):
        """The objective, a float."""
        return self.value_gradient(theta)[0]

    def smooth(self, theta):
        """All of it is smooth."""
        return self.value_gradient(theta)

    def prox(self, theta, step=1.0):
        raise TypeError("the objective of HuberRegressor is smooth, and has no penalty but alpha")

    def hessian_product(self, theta, v):
        raise TypeError(
            "the objective of HuberRegressor has no Hessian where errors are epsilon * sigma; use a method that needs none: L-BFGS-B"
        )
