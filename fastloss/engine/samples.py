"""Per-sample losses of a chunk, in the precision they are computed in: what a State's tallies are the sums of."""

import numpy as np

from fastloss.engine import rows
from fastloss.engine.dtypes import compute_dtype
from fastloss.engine.inputs import as_array
from fastloss.engine.rowinputs import matrix


class Sample:
    """One loss's losses of some rows.

    losses   float32 or float64; NaN where the label is missing; 0, with no weight, where it is one to ignore
    weights  float64, or None: a row's term is losses * weights
    shares   float64, or None for as weights: what a row counts for in the sum of weights that a mean is divided by (class weights)
    """

    __slots__ = ("losses", "weights", "shares")

    def __init__(self, losses, weights=None, shares=None):
        self.losses, self.weights, self.shares = losses, weights, shares

    def terms(self, out=None):
        """losses * weights in float64, an array of its own, or in ``out``."""
        terms = np.empty(len(self.losses)) if out is None else out
        terms[...] = self.losses
        if self.weights is not None:
            with np.errstate(over="ignore", under="ignore", invalid="ignore"):
                np.multiply(terms, self.weights, out=terms)
        return terms

    @property
    def divisor(self):
        """What sums to the denominator of a mean; None: ones."""
        return self.weights if self.shares is None else self.shares


class Samples:
    """Gives the Sample of each of a State's computed losses, in buffers that are used again."""

    def __init__(self, losses):
        self.losses, self.buffers, self.ready = losses, {}, None

    def tallies(self, y_true, y_pred, sample_weight, nan, n_threads):
        """[Tally] of one loss without weights, of which ``of`` for the same arrays then has the losses, from one pass; else None."""
        self.ready = None
        loss, *others = self.losses
        arrays = isinstance(y_true, np.ndarray) and isinstance(y_pred, np.ndarray) and y_pred.ndim == 1
        if others or loss.definition.rows or sample_weight is not None or not arrays:
            return None
        into = self._buffer(0, compute_dtype(y_true.dtype, y_pred.dtype), len(y_pred))
        found, _ = loss.run(
            [loss], y_true, y_pred, None, outputs=(into, None, None), wanted=(True, False, False), nan=nan, n_threads=n_threads
        )
        self.ready = y_pred, into
        return found

    def of(self, y_true, y_pred, sample_weight=None, kept=None, n=None, without=None, n_threads=None):
        """[Sample]. kept: where among n rows these are, of which the others have no label, and the weights ``without`` where there are
        weights. Arguments are such as an update of a State took, so nothing is refused any more."""
        ready, self.ready = self.ready, None
        if ready is not None and ready[0] is y_pred and kept is None:
            return [Sample(ready[1])]
        weights = None
        if sample_weight is not None:  # kernels of groups take them as they lie in memory
            weights = np.require(as_array("sample_weight", sample_weight), np.float64, ("C", "A"))
        found = []
        for which, loss in enumerate(self.losses):
            of = self._rows if loss.definition.rows else self._singles
            sample = of(which, loss, y_true, y_pred, weights, n_threads)
            found.append(sample if kept is None else spread_out(sample, kept, n, without))
        return found

    def _singles(self, which, loss, y_true, y_pred, weights, n_threads):
        p = as_array("y_pred", y_pred)
        y = as_array("y_true", y_true, p)
        return Sample(self._run(which, loss, y, p, compute_dtype(y.dtype, p.dtype), len(p), n_threads), weights)

    def _rows(self, which, loss, y_true, y_pred, weights, n_threads):
        z = matrix("y_pred", y_pred)
        y = as_array("y_true", y_true) if loss.labels else matrix("y_true", y_true)
        compute = compute_dtype(np.dtype(np.int8) if loss.labels else y.dtype, z.dtype)
        losses = self._run(which, loss, y_true, y_pred, compute, z.shape[0], n_threads)
        shares = None
        if not loss.labels or (loss.ignore_index is None and loss.class_weight is None):
            return Sample(losses, weights)
        ignored = np.zeros(len(y), bool) if loss.ignore_index is None else y == loss.ignore_index
        if loss.class_weight is not None:
            by_class = loss._rounded(compute)[: len(loss.class_weight)].astype(np.float64)
            shares = by_class[np.where(ignored, 0, y)]
            shares = shares if weights is None else shares * weights
            shares[ignored] = 0
        if ignored.any():
            losses[ignored] = 0
            weights = np.where(ignored, 0.0, 1.0 if weights is None else weights)
        return Sample(losses, weights, shares)

    def _run(self, which, loss, y_true, y_pred, compute, n, n_threads):
        into = self._buffer(which, compute, n)
        run = rows.run if loss.definition.rows else loss.run
        run([loss], y_true, y_pred, None, outputs=(into, None, None), wanted=(True, False, False), summed=False, n_threads=n_threads)
        return into

    def _buffer(self, which, compute, n):
        key = which, compute
        if key not in self.buffers or len(self.buffers[key]) < n:
            self.buffers[key] = np.empty(n, compute)
        return self.buffers[key][:n]


def spread_out(sample, kept, n, without):
    """A Sample of n rows of one of the ``kept``: the others are NaN, and have the weights ``without``."""
    whole = np.full(n, np.nan, sample.losses.dtype)
    whole[kept] = sample.losses
    arrays = []
    for part in (sample.weights, sample.shares):
        if part is not None:
            full = np.ones(n)
            if without is not None:
                full[np.setdiff1d(np.arange(n), kept)] = without
            full[kept] = part
            part = full
        arrays.append(part)
    return Sample(whole, *arrays)
