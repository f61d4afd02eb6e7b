"""What XGBoost, LightGBM and CatBoost have in common: a loss's derivatives as a booster takes them. Metrics: boosting_metrics.py."""

import functools

import numpy as np

import fastloss as fl
from fastloss.engine.memory import empty
from fastloss.losses.rowspec import LABELS
from fastloss.losses.spec import INF, REAL, SIGN, Labels

FLOOR = 1e-16  # XGBoost's own, of logistic and softmax objectives
RAW = {  # losses of probabilities and means: the same of raw scores
    "log_loss": "logistic", "focal_probability": "focal", "poisson_deviance": "poisson_loss", "gamma_deviance": "gamma_loss",
    "tweedie_deviance": "tweedie_loss", "multiclass_log_loss": "softmax_cross_entropy", "multiclass_brier": "softmax_brier",
    "kl_divergence": "kl_divergence_with_logits", "generalized_kl_divergence": "kl_divergence_with_logits",
}  # fmt: skip


def require(host, found, least):
    """ImportError if the version of a host is below the least that is known to work."""
    numbers = [int("".join(filter(str.isdigit, part)) or 0) for part in found.split(".")[: len(least)]]
    if numbers < list(least):
        raise ImportError(f"fastloss.{host} needs {host} >= {'.'.join(map(str, least))}, found {found}")


class Objective:
    """A loss as a booster's objective: gradient and Hessian of every sample with respect to its raw score, times its weight.

    loss       text ("huber:delta=2") or a configured loss, an own one too. Its prediction must be any real number: a booster's raw score is
    hess       None: "exact", or a constant for losses whose Hessian is 0 where the gradient is not (absolute_error, pinball, hinge: 1;
               huber, smooth_l1: their curvature at 0), as LightGBM does for its own l1, quantile and huber
               "exact": the second derivative (of rows the diagonal); what is below ``floor``, negative for instance, becomes that
               "upper": of softmax_cross_entropy twice the diagonal, which is an upper bound of the whole Hessian, and what XGBoost takes
               a number > 0: that number times the weight
    floor      the least that a Hessian may be, after weights
    n_threads  None for as many as pay

    Calling it with bad labels or weights raises the host's own error, with the words of fastloss's. Objectives can be pickled.
    """

    error = ValueError  # a host's adapter puts its own here

    def __init__(self, loss, hess=None, floor=FLOOR, n_threads=None):
        self.loss, self.floor, self.n_threads = trainable(loss), _number("floor", floor, zero=True), n_threads
        self.hess = flat(self.loss) if hess is None else hess
        if self.hess is None:
            self.hess = "exact"
        if self.hess == "upper":
            if self.loss.name != "softmax_cross_entropy":
                raise ValueError(f"`hess='upper'` is known of softmax_cross_entropy alone; for `{self.loss.name}` give a number")
        elif self.hess != "exact":
            self.hess = _number("hess", self.hess, words="'exact', 'upper' or ")

    def __repr__(self):
        return f"<{type(self).__module__}.{type(self).__name__} of {self.loss!r}, hess={self.hess!r}>"

    def factor(self, classes):
        """What exact Hessians are multiplied by."""
        return 2.0 if self.hess == "upper" else 1.0

    def derivatives(self, y, p, w):
        """(gradient, Hessian), float32, shaped and laid out as p: (N,), or (N, C) in C or Fortran order."""
        order = "F" if p.ndim > 1 and p.flags.f_contiguous and not p.flags.c_contiguous else "C"
        gradient, hessian = empty(p.shape, np.float32, order), empty(p.shape, np.float32, order)
        try:
            self.into(y, p, w, gradient, hessian)
        except ValueError as error:
            raise self.error(str(error)) from error
        return gradient, hessian

    def into(self, y, p, w, gradient, hessian):
        """The same, into arrays."""
        refuse_columns(self.loss, p)
        if self.loss.definition.rows or p.ndim == 1:
            self._into(targets(self.loss, y, p), p, w, gradient, hessian)
        else:  # several targets, each a column; a weight is a row's
            y = y.reshape(p.shape)
            for column in range(p.shape[1]):
                at = np.s_[:, column]
                self._into(targets(self.loss, y[at], p[at]), p[at], w, gradient[at], hessian[at])

    def _into(self, y, p, w, gradient, hessian):
        if not isinstance(self.hess, str):
            self.loss.gradient(y, p, w, gradient_out=gradient, n_threads=self.n_threads)
            if w is None:
                hessian.fill(self.hess)
            else:
                np.multiply(w if hessian.ndim == 1 else w[:, None], self.hess, out=hessian, casting="same_kind")
        else:
            self.loss.gradient_hessian(y, p, w, gradient_out=gradient, hessian_out=hessian, n_threads=self.n_threads)
            if (factor := self.factor(p.shape[-1])) != 1.0:
                np.multiply(hessian, factor, out=hessian)
            # a look takes less than a pass that stores, but of few samples longer; a NaN is not >= and stays what it is
            if hessian.size < 1 << 14 or not hessian.min() >= self.floor:
                np.maximum(hessian, self.floor, out=hessian)


def refuse_columns(loss, p):
    if loss.definition.rows and p.ndim == 1:
        raise ValueError(f"`{loss.name}` is of rows of C scores, got one score a row: set the booster's number of classes")


def _number(name, value, words="", zero=False):
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
    if number is None or not (0.0 < number < INF or (zero and number == 0.0)):
        raise ValueError(f"`{name}` must be {words}a number {'>= 0' if zero else '> 0'}, got {value!r}")
    return float(number)


def trainable(loss):
    """The configured loss, if a booster can be trained with it; ValueError or TypeError that says why not."""
    loss = fl.get(loss)
    definition = loss.definition
    if definition.base:
        raise ValueError(f"`{loss.name}` is a cost, without derivatives of each sample; use `{definition.base}`")
    if definition.terms:
        raise ValueError(f"`{loss.name}` is a cost of sums, without a loss of each sample: it can be a metric, not an objective")
    if (definition.prediction.low, definition.prediction.high) != (REAL.low, REAL.high):
        remedy = f": use `{RAW[loss.name]}`" if loss.name in RAW else ""
        raise ValueError(
            f"`{loss.name}` takes predictions {definition.prediction}, but a booster's raw scores are any real numbers{remedy}"
        )
    if not flat(loss) and not np.any(loss.gradient(*_sample(loss))):
        raise ValueError(f"`{loss.name}` is a measure: its gradient is 0, so that there is nothing to be lowered")
    return loss


@functools.lru_cache(maxsize=256)
def flat(loss):
    """The constant that has to stand for the Hessian of a loss whose own is 0 where its gradient is not: the largest that it has, or 1
    where it has none. None if there is no such place; a Hessian that dies away to 0 is none.

    Found by trying: away from 0 in steps of sqrt(2) up to 1e6 in both directions, or at some rows of scores."""
    y, p = _sample(loss)
    if loss.definition.rows and not hasattr(loss.definition.body, "hessian"):
        loss.gradient(y, p)  # TypeError if there is none
        return 1.0
    with np.errstate(all="ignore"):
        gradient, hessian = loss.gradient_hessian(y, p)
    most = max((value for value in hessian.flat if value < INF), default=0.0)
    zero = (hessian == 0) & (gradient != 0)
    if not loss.definition.rows:  # (targets, directions, steps outwards): not where it has become too small for a float64
        before = np.concatenate([np.full_like(hessian[..., :1], INF), hessian[..., :-1]], axis=-1)
        zero &= (before > 1e-10 * most) | (before == 0) & (np.cumsum(zero, axis=-1) == np.arange(1, zero.shape[-1] + 1))
    return (float(most) if most > 0 else 1.0) if zero.any() else None


def _sample(loss):
    """Targets and scores of many kinds."""
    definition = loss.definition
    if definition.rows:
        classes = len(loss.class_weight or ()) or 4
        p = np.random.default_rng(0).normal(0.0, 2.0, (64, classes))
        y = np.arange(64) % classes
        if definition.target is LABELS:
            return y, p
        t = np.eye(classes)[y]
        return (t if isinstance(definition.target, Labels) else (t + 0.25) / (1.0 + 0.25 * classes)), p
    steps = 0.1 * np.sqrt(2.0) ** np.arange(47)
    p = np.stack([steps, -steps])
    values = definition.target.values if isinstance(definition.target, Labels) else (-2.0, -0.5, 0.0, 0.5, 1.0, 3.0)
    y = np.array([value for value in values if value in definition.target] or [_inside(definition.target)])
    shape = (len(y), *p.shape)
    return np.ascontiguousarray(np.broadcast_to(y[:, None, None], shape)), np.ascontiguousarray(np.broadcast_to(p, shape))


def _inside(interval):
    """A number of an interval."""
    low, high = max(interval.low, -1e30), min(interval.high, 1e30)
    return low + 1.0 if high == 1e30 else high - 1.0 if low == -1e30 else 0.5 * (low + high)


def targets(loss, y, p, start=0):
    """The labels of a booster, floats always, as the loss takes them. Losses of labels: integers, else ValueError; of -1 and +1: from
    0 and 1, too; rows of targets: shaped as the scores. start: of which sample the first is, for errors."""
    target = loss.definition.target
    if target is LABELS:
        with np.errstate(invalid="ignore"):
            labels = y.astype(np.int32)
        wrong = labels.astype(y.dtype) != y  # in y's own dtype: NumPy compares int32 with float32 in float64, in twice the time
        if wrong.any():
            index = int(wrong.argmax())
            raise ValueError(
                f"`y_true` of `{loss.name}` must be a class from 0 to {p.shape[1] - 1}, got {y[index]!s} at index {start + index}"
            )
        return labels
    if loss.definition.rows:
        return y.reshape(p.shape)
    if isinstance(target, Labels) and (target.low, target.high) == (SIGN.low, SIGN.high):
        negative = y == 0
        if negative.any():
            wrong = ~negative & (y != 1)
            if wrong.any():
                index = int(wrong.argmax())
                raise ValueError(f"`y_true` of `{loss.name}` must be 0 or 1, or -1 or 1, got 0 and {y[index]!s} (at index {index})")
            return ~negative
    return y


def weighted_mean(y, w):
    """The mean of labels, a float; correctly rounded, as a booster's own is not."""
    y = np.asarray(y, np.float64)
    return float(np.average(y, weights=None if w is None else np.asarray(w, np.float64)))


def log_odds(mean):
    return float(np.log(mean / (1.0 - mean)))


def given(host, name, defaults, parameters):
    """The parameters of a host's objective: what was given, else its defaults; TypeError for others."""
    if unknown := [key for key in parameters if key not in defaults]:
        has = ", ".join(defaults) or "none"
        raise TypeError(f"`{unknown[0]}` is not a parameter of {host}'s {name!r} that can be reproduced; there are: {has}")
    return defaults | parameters


def known(host, name, builtins, refused):
    """ValueError for a host's objective that cannot be reproduced, with the reason."""
    if name not in builtins:
        why = refused.get(name, "it is not a loss of single samples, or unknown")
        raise ValueError(f"{host}'s {name!r} cannot be reproduced: {why}; there are {', '.join(map(repr, builtins))}")
    return builtins[name]
