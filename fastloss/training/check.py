"""Are gradients right? Held against differences of the values, which know how exact they are themselves."""

from dataclasses import dataclass

import numpy as np

import fastloss as fl
from fastloss.engine.differences import derivative

RELATIVE, TIMES = 1e-5, 20.0  # allowed: RELATIVE of the slope, and TIMES the error that the differences are known by
COORDINATES = 200  # of a vector of parameters, or columns of scores: as many are looked at


@dataclass(frozen=True)
class GradientCheck:
    """What ``check_gradient`` found; true in a condition if ok, and told by str().

    ok               do all agree?
    checked          how many derivatives were compared; skipped: those at kinks, at a domain's edge, or not finite
    worst            the largest |given - expected| over what is allowed; above 1 it is wrong
    part, at         of the worst: "gradient" or "Hessian", and its place
    given, expected  there
    """

    ok: bool
    checked: int
    skipped: int
    worst: float
    part: str
    at: object
    given: float
    expected: float

    def __bool__(self):
        return self.ok

    def __str__(self):
        if not self.checked:
            return f"nothing could be checked: {self.skipped} derivatives are at kinks or edges, or not finite"
        left = f", {self.skipped} left out (kinks, edges, not finite)" if self.skipped else ""
        if self.ok:
            return f"{self.checked} derivatives agree{left}"
        numbers = f"given {self.given:.12g}, by differences {self.expected:.12g}"
        return f"the {self.part} is wrong at {self.at}: {numbers}; {self.checked} checked{left}"


def check_gradient(loss, y_true, y_pred=None, *, seed=0):
    """Hold a gradient, and where there is one the Hessian, against differences of the values. Returns a GradientCheck.

    loss     a configured loss or its text: its gradient (and Hessian) at y_true, y_pred, which are taken as float64 (labels as they are);
             of rows the gradient, by classes, of which 200 are drawn by ``seed`` if there are more
             or a function theta -> (value, gradient), as scipy.optimize.minimize takes it with jac=True; then y_true is theta, an array
             of any shape, and y_pred is left out; of more than 200 parameters 200 are drawn

    The differences are of order 2 and more, extrapolated, and know their own error (Ridders 1982): allowed is 1e-5 of the slope and 20
    times that error. At a kink there is no derivative, and at the edge of a domain no room for differences: these are left out, and
    counted. Where nothing is left to compare, the check is not ok. Steps go from 0.05 to 7e-6 of max(|x|, 1): of a bend that is
    narrower, Huber's at a target of 1e300, nothing is seen, and what is given there is called wrong.

        fl.check_gradient("huber:delta=1.5", y, p)
        assert fl.check_gradient(objective, np.zeros(10))
    """
    if callable(loss) and not isinstance(loss, fl.Loss | type):
        if y_pred is not None:
            raise TypeError("of a function theta -> (value, gradient) only theta is given")
        return _of_function(loss, y_true, seed)
    loss = fl.get(loss)
    if y_pred is None:
        raise TypeError(f"`y_pred` is missing: check_gradient({loss.name!r}, y_true, y_pred)")
    p = np.array(y_pred, np.float64)
    if loss.definition.rows:
        return _of_rows(loss, y_true, p, seed)
    y = np.broadcast_to(np.asarray(y_true), p.shape)
    gradient, hessian = loss.gradient_hessian(y, p)
    low, high = loss.definition.prediction.low, loss.definition.prediction.high
    with np.errstate(all="ignore"):
        parts = [
            ("gradient", gradient, derivative(lambda x: loss.loss(y, x), p, low, high)),
            ("Hessian", hessian, derivative(lambda x: loss.gradient(y, x), p, low, high)),
        ]
    return _judged([(part, given, found, lambda i: _place(i, p.shape, y, p)) for part, given, found in parts])


def _place(index, shape, y, p):
    at = np.unravel_index(index, shape)
    place = ", ".join(map(str, map(int, at))) if len(at) != 1 else int(at[0])
    return f"index {place} (y_true {y[at].item()!r}, y_pred {p[at].item()!r})"


def _of_rows(loss, y, p, seed):
    if p.ndim != 2:
        raise ValueError(f"`y_pred` must have shape (N, C), got {p.shape}")
    gradient, parts = loss.gradient(y, p), []
    domain = loss.definition.prediction
    for column in _chosen(p.shape[1], seed):

        def moved(x, column=column):
            scores = p.copy()
            scores[:, column] = x
            return loss.loss(y, scores)

        found = derivative(moved, p[:, column], domain.low, domain.high)
        parts.append(("gradient", gradient[:, column], found, lambda i, column=column: f"row {i}, class {column}"))
    return _judged(parts)


def _of_function(function, theta, seed):
    theta = np.array(theta, np.float64)
    value, gradient = function(theta.copy())
    gradient = np.asarray(gradient)
    if np.ndim(value) or gradient.shape != theta.shape:
        found = f"got shapes {np.shape(value)} and {gradient.shape}"
        raise ValueError(f"the function must return (a number, an array of shape {theta.shape}), {found}")
    flat, parts = theta.ravel(), []
    for place in _chosen(flat.size, seed):

        def moved(x, place=place):
            there = flat.copy()
            there[place] = x[0]
            return np.array([function(there.reshape(theta.shape))[0]], np.float64)

        here = slice(place, place + 1)
        found = derivative(moved, flat[here])
        parts.append(("gradient", gradient.ravel()[here], found, lambda _, place=place: f"parameter {place} ({flat[place]:.12g})"))
    return _judged(parts)


def _chosen(size, seed):
    if size <= COORDINATES:
        return range(size)
    return np.sort(np.random.default_rng(seed).choice(size, COORDINATES, replace=False)).tolist()


def _judged(parts):
    """parts: (name, given, (slope, error), place of an index)."""
    checked = skipped = 0
    worst = (-1.0, "gradient", None, np.nan, np.nan)
    for part, given, (slope, error), place in parts:
        given, slope, error = (np.ravel(values).astype(np.float64) for values in (given, slope, error))
        with np.errstate(all="ignore"):
            allowed = RELATIVE * np.maximum(np.abs(slope), np.abs(given)) + TIMES * error + np.finfo(np.float64).tiny
            fine = np.isfinite(slope) & np.isfinite(error) & (error < 1e-3 * np.maximum(np.abs(slope), 1.0))
            ratio = np.where(fine, np.abs(given - slope) / allowed, -1.0)
        ratio[fine & ~np.isfinite(given)] = np.inf
        checked, skipped = checked + int(fine.sum()), skipped + int((~fine).sum())
        if ratio.size and ratio.max() > worst[0]:
            i = int(ratio.argmax())
            worst = (float(ratio[i]), part, place(i), float(given[i]), float(slope[i]))
    return GradientCheck(0 <= worst[0] <= 1, checked, skipped, *worst)
