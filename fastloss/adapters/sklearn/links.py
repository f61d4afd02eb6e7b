"""Links and intervals as scikit-learn's losses have them: raw_prediction = link(y_pred), y_pred = inverse(raw_prediction)."""

from dataclasses import dataclass

import numpy as np

import fastloss as fl

INF = float("inf")


@dataclass
class Interval:
    """A range of numbers; ends included or not."""

    low: float
    high: float
    low_inclusive: bool
    high_inclusive: bool

    def __post_init__(self):
        if self.low > self.high:
            raise ValueError(f"One must have low <= high; got low={self.low}, high={self.high}.")

    def includes(self, x):
        """Are all elements of x in it?"""
        above = np.greater_equal(x, self.low) if self.low_inclusive else np.greater(x, self.low)
        below = np.less_equal(x, self.high) if self.high_inclusive else np.less(x, self.high)
        return bool(np.all(above) and np.all(below))


ALL, POSITIVE, NOT_NEGATIVE = Interval(-INF, INF, False, False), Interval(0, INF, False, False), Interval(0, INF, True, False)
OPEN_UNIT, UNIT = Interval(0, 1, False, False), Interval(0, 1, True, True)


def sigmoid(z):
    """1 / (1 + exp(-z)), accurate at both ends: the gradient of the logistic loss of class 0."""
    return fl.Logistic().gradient(0.0, z)


def logit(p):
    return np.log(p) - np.log1p(-p)


class Link:
    """A link by two functions, which may be called as methods of it."""

    is_multiclass = False

    def __init__(self, name, link, inverse, interval_y_pred):
        self.name, self.link, self.inverse, self.interval_y_pred = name, link, inverse, interval_y_pred

    def __repr__(self):
        return f"<{self.name} link>"

    def __reduce__(self):
        return _named, (self.name,)


class MultinomialLogit(Link):
    """Softmax, and as its inverse the logs of probabilities, centred in each row."""

    is_multiclass = True

    def __init__(self):
        super().__init__("multinomial_logit", self._link, fl.softmax, OPEN_UNIT)

    @staticmethod
    def _link(y_pred):
        logs = np.log(y_pred)
        return logs - logs.mean(axis=1)[:, None]

    @staticmethod
    def symmetrize_raw_prediction(raw_prediction):
        return raw_prediction - np.mean(raw_prediction, axis=1)[:, None]


def _same(x):
    return x


LINKS = {
    "identity": Link("identity", _same, _same, ALL),
    "log": Link("log", np.log, np.exp, POSITIVE),
    "logit": Link("logit", logit, sigmoid, OPEN_UNIT),
    "half_logit": Link("half_logit", lambda p: 0.5 * logit(p), lambda z: sigmoid(2 * z), OPEN_UNIT),
    "multinomial_logit": MultinomialLogit(),
}


def _named(name):
    return LINKS[name]
