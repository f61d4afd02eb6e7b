"""CatBoost: objectives and metrics of losses. See fastloss/catboost.py."""

import functools
import math

import numpy as np

import fastloss as fl
from fastloss.adapters import boosting, boosting_metrics
from fastloss.engine.memory import empty

try:
    import catboost
except ImportError as error:
    raise ImportError('fastloss.catboost needs CatBoost >= 1.2.8: pip install "fastloss[catboost]"') from error

boosting.require("catboost", catboost.__version__, (1, 2, 8))  # the first that goes with NumPy 2


SOFTMAX = fl.get("softmax_cross_entropy")


class _Adapter:
    """What CatBoost looks at on objects of its user's."""

    no_jit = True  # else it would have Numba compile the methods, or warn that it cannot

    def __deepcopy__(self, memo):
        return self  # CatBoost copies what get_params gives, and scikit-learn's clone wants to find the very same


class Objective(_Adapter, boosting.Objective):
    __doc__ = f"""{boosting.Objective.__doc__}
    It has CatBoost's two methods, which CatBoost itself calls: calc_ders_range, for losses of a number per sample, with about a thousand
    samples at a time, and calc_ders_multi, for losses of rows, with one row at a time (which is slow; CatBoost has no other way).
    CatBoost maximises, so both give minus the derivatives. Of softmax_cross_entropy without options calc_ders_multi gives the whole
    matrix of second derivatives, of other losses of rows the diagonal. What it raises comes out of fit as a CatBoostError.

    An estimator with such an objective needs an eval_metric: a Metric of this module, or one of CatBoost's.
    """

    error = catboost.CatBoostError

    def __init__(self, loss, hess=None, floor=boosting.FLOOR, n_threads=None):
        super().__init__(loss, hess, floor, n_threads)
        if self.loss.definition.rows and not self.loss.labels:
            raise ValueError(f"`{self.loss.name}` is of rows of targets, which CatBoost does not hand to objectives of one score a class")

    def calc_ders_range(self, approxes, targets, weights):
        """Minus gradient and Hessian: float64, (n, 2), as CatBoost reads them without Python objects."""
        found = empty((2, len(approxes)), np.float64)  # rows: each is written in one piece
        try:
            self.into(np.asarray(targets), np.asarray(approxes), weights, found[0], found[1])
        except ValueError as error:
            raise self.error(str(error)) from error
        return np.negative(found, out=found).T

    def calc_ders_multi(self, approxes, target, weight):
        """Minus gradient (C,) and Hessian (C, C) of one row; the target is a label."""
        p = np.asarray(approxes)
        if self.whole:
            return _softmax(p, _label(self, target, p), weight)
        found = np.empty((2, 1, len(p)))
        try:
            self.into(np.array([target]), p[None], np.array([weight]), found[0], found[1])
        except ValueError as error:
            raise self.error(str(error)) from error
        gradient, diagonal = np.negative(found, out=found)[:, 0]
        return gradient, np.diag(diagonal)

    @property
    def whole(self):
        """Is the matrix of second derivatives known?"""
        return self.hess == "exact" and self.loss == SOFTMAX


def _label(objective, target, p):
    if not (0 <= target < len(p) and target == int(target)):
        name = objective.loss.name
        raise objective.error(f"`y_true` of `{name}` must be a class from 0 to {len(p) - 1}, got {target!r}")
    return int(target)


def _softmax(z, label, w):
    """calc_ders_multi of softmax cross-entropy: in NumPy, as for one row that takes less time than to call anything. 1 - p is the sum of
    the other classes' probabilities and never cancels."""
    e = np.exp(z - z.max())
    total, top = e.sum(), int(e.argmax())
    others = total - e
    others[top] = e[:top].sum() + e[top + 1 :].sum()
    p, others = e / total, others / total
    gradient = p * -w
    gradient[label] = w * others[label]
    matrix = np.outer(p, p * w)
    np.fill_diagonal(matrix, -w * p * others)
    return gradient, matrix


class _Rows:
    """Columns, seen as rows: an array (n, C) is made of a slice alone."""

    ndim = 2

    def __init__(self, columns):
        self.columns, self.shape = columns, (len(columns[0]), len(columns))

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, at):
        return np.stack([column[at] for column in self.columns], axis=1)


class Metric(_Adapter, boosting_metrics.Metric):
    __doc__ = f"""{boosting_metrics.Metric.__doc__}
    It has CatBoost's three methods, for eval_metric=; lower is better. CatBoost hands raw scores always, and takes no object as a
    custom_metric.
    """

    error = catboost.CatBoostError

    def __init__(self, loss, name=None, link="auto", n_threads=None):
        super().__init__(loss, name, link, n_threads)
        definition = self.loss.definition
        if definition.terms:
            raise ValueError(f"`{self.loss.name}` is a cost of sums, which CatBoost's metrics, a sum over a sum of weights, cannot be")
        parameters = self.loss.spec.partition(":")[2]
        self.summed = fl.get(definition.base + (f":{parameters}" if parameters else "")) if definition.base else self.loss

    def __reduce__(self):
        return metric, (self.loss, self.name, self.link, self.n_threads)

    def evaluate(self, approxes, target, weight):
        """(sum of w * loss, sum of w); approxes: an array of N for each score."""
        p = np.asarray(approxes[0]) if len(approxes) == 1 else _Rows(approxes)
        try:
            state = self.state(self.summed, np.asarray(target), p, weight)
            result = state.results()[0]
        except ValueError as error:
            raise self.error(str(error)) from error
        total = result.weight_sum if result.weight_sum is not None else float(result.n)
        return result.cost * total, total

    def get_final_error(self, error, weight):
        """The cost: of a derived one, rmse say, what it is of the mean."""
        mean = error / weight if weight else 0.0
        if self.loss.definition.outer is None or math.isnan(mean):
            return mean
        return math.sqrt(mean) if self.loss.definition.outer == "sqrt" else math.exp(mean)

    def is_max_optimal(self):
        return False


@functools.cache
def _named(name):
    return type(name, (Metric,), {})


def metric(loss, name=None, link="auto", n_threads=None):
    loss = fl.get(loss)  # CatBoost calls a metric by the name of its class
    return _named(loss.name if name is None else name)(loss, name, link, n_threads)


metric.__doc__ = Metric.__doc__

# name: (loss, hess, CatBoost's parameters)
BUILTIN = {
    "RMSE": ("half_squared_error", "exact", {}),
    "Logloss": ("logistic", "exact", {}),
    "CrossEntropy": ("logistic", "exact", {}),
    "Poisson": ("poisson_loss", "exact", {}),
    "Huber": ("huber:delta={delta}", "exact", {"delta": None}),
    "Expectile": ("expectile:alpha={alpha}", "exact", {"alpha": 0.5}),
    "Lq": ("lq:q={q}", "exact", {"q": None}),
    "Tweedie": ("tweedie_loss:power={variance_power}", "exact", {"variance_power": None}),
    "MultiClass": ("softmax_cross_entropy", "exact", {}),
}
EXACT = "CatBoost by default sets its leaves to quantiles of the residuals, which no objective of one's own can ask for"
REFUSED = {"MAE": EXACT, "Quantile": EXACT, "MAPE": EXACT, "LogCosh": EXACT, "MultiQuantile": EXACT}


class Builtin(Objective):
    """What CatBoost's own objective of a name computes, so that the same trees come of it.

    name        "RMSE", "Logloss", "CrossEntropy", "Poisson", "Huber", "Expectile", "Lq", "Tweedie" or "MultiClass". ValueError that says
                why for "MAE", "Quantile", "MAPE", "LogCosh"
    parameters  CatBoost's, with its names: delta, alpha, q, variance_power

    CatBoost chooses other parameters for an objective of its own than for those of others: to compare the two, set in both
    boost_from_average=False (of others' there is no other; see init_score), learning_rate, bootstrap_type, leaf_estimation_method,
    leaf_estimation_iterations and leaf_estimation_backtracking="No". Huber differs where an error is exactly delta: its Hessian is 1 there.
    """

    def __init__(self, name, **parameters):
        spec, hess, defaults = boosting.known("CatBoost", name, BUILTIN, REFUSED)
        self.name, self.parameters = name, boosting.given("CatBoost", name, defaults, parameters)
        if missing := [key for key, value in self.parameters.items() if value is None]:
            raise TypeError(f"CatBoost's {name!r} has no default for `{missing[0]}`; give it")
        super().__init__(spec.format(**self.parameters), hess, 0.0)

    def init_score(self, y_true, sample_weight=None):
        """The score that CatBoost would start from by default: the mean for RMSE (boost_from_average), else 0. For Pool(baseline=...)."""
        if self.name != "RMSE":
            return 0.0
        return boosting.weighted_mean(np.asarray(y_true), None if sample_weight is None else np.asarray(sample_weight))


objective, builtin = Objective, Builtin
