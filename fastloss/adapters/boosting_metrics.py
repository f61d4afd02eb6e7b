"""What XGBoost, LightGBM and CatBoost have in common: a loss's cost as a metric, of raw scores or of what they predict."""

import numpy as np

import fastloss as fl
from fastloss.adapters.boosting import refuse_columns, targets
from fastloss.losses.rowspec import LABELS
from fastloss.losses.spec import NONNEGATIVE, POSITIVE, UNIT, Labels

BLOCK = 1 << 16  # samples at a time where predictions or labels have to be converted
LINKS = ("auto", "identity", "sigmoid", "exp", "softmax")


class Metric:
    """The cost of a loss as a booster's metric: sum(w * loss) / sum(w), correctly rounded, of the same bits for any number of threads.

    loss   text or a configured loss; also those that cannot be objectives: rmse, log_loss, dice, multiclass_error
    name   what the host calls it; the loss's name, if None
    link   what makes of a raw score what the loss takes. "auto": "sigmoid" where that is a probability, "softmax" where it is a row of
           them, "exp" where it must be positive, and "identity" elsewhere, for losses of raw scores and for those of any real number. With
           an objective of one's own a host hands raw scores, with its own objectives mostly what its predict gives: then "identity". A
           loss of any real number after an objective with a log link, mse after poisson_loss say, needs link="exp"
    """

    error = ValueError

    def __init__(self, loss, name=None, link="auto", n_threads=None):
        self.loss, self.n_threads = fl.get(loss), n_threads
        if link not in LINKS:
            raise ValueError(f"`link` must be one of {', '.join(map(repr, LINKS))}, got {link!r}")
        self.name = self.__name__ = self.loss.name if name is None else name
        self.link = link_of(self.loss) if link == "auto" else link

    def __repr__(self):
        return f"<{type(self).__module__}.{type(self).__name__} {self.name!r} of {self.loss!r}, link={self.link!r}>"

    def state(self, loss, y, p, w):
        """A State that has seen the data: in one pass, or in blocks where something has to be converted."""
        state, rows, target = fl.State(loss), loss.definition.rows, loss.definition.target
        refuse_columns(loss, p)
        if p.ndim == 2 and not rows:  # several targets
            y = y.reshape(p.shape)
            for column in range(p.shape[1]):
                self._add(state, loss, y[:, column], p[:, column], w, len(p))
        elif self.link == "identity" and not isinstance(target, Labels) and target is not LABELS:
            self._add(state, loss, y, p, w, len(p))
        else:
            self._add(state, loss, y, p, w, max(1, BLOCK // (p.shape[1] if rows else 1)))
        return state

    def _add(self, state, loss, y, p, w, step):
        two = isinstance(loss.definition.target, Labels)
        y = targets(loss, y, p) if two else y  # -1 and +1, or 0 and 1: seen from all of them
        for start in range(0, len(p), max(1, step)):
            at = slice(start, start + step)
            scores = p[at]
            try:
                labels = y[at] if two else targets(loss, y[at], scores, start)
                state.update(labels, linked(self.link, scores), None if w is None else w[at], n_threads=self.n_threads)
            except fl.InputError as error:
                raise moved(error, start) from None

    def value(self, y, p, w):
        """The cost, a float."""
        try:
            return self.state(self.loss, y, p, w).compute()
        except ValueError as error:
            raise self.error(str(error)) from error


def link_of(loss):
    """The link that "auto" is."""
    prediction, rows = loss.definition.prediction, loss.definition.rows
    if (prediction.low, prediction.high) == (UNIT.low, UNIT.high):
        return "softmax" if rows else "sigmoid"
    if (prediction.low, prediction.high) in ((POSITIVE.low, POSITIVE.high), (NONNEGATIVE.low, NONNEGATIVE.high)):
        return "softmax" if rows else "exp"
    return "identity"


def linked(link, p):
    """What the loss takes, of raw scores. Sigmoid and exp in the dtype of the scores."""
    if link == "identity":
        return p
    if link == "softmax":
        return fl.softmax(p)
    with np.errstate(over="ignore"):
        return np.exp(p) if link == "exp" else 1.0 / (1.0 + np.exp(-p))


def moved(error, start):
    """An InputError of a block, of the whole."""
    index = error.index
    index = (index[0] + start, *index[1:]) if isinstance(index, tuple) else index + start
    return fl.InputError(error.loss, error.argument, error.allowed, error.value, index, error.remedy)
