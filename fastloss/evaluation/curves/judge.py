"""From a curve to what it means, each verdict with its numbers. Differences are measured in the curve's own fall and in its noise, so that
nothing changes if a constant is added to all costs, or if they are multiplied by one."""

import math
from dataclasses import dataclass

import numpy as np

from fastloss.evaluation.curves.signals import noise, slope, trend

POINTS = 6  # fewer show no trend: of 5 points that all rise z is 2.2, of 6 it is 2.6
START = 10  # the level at the start is the median of the first tenth: of a long curve, one spike at the start is not it
LEVEL = 5  # the level at the end is the median of so many points, 3 of a curve of fewer than 15
TAIL, LEAST = 3, 8  # the trend is that of the last third, or of 8 points, of whose 28 pairs 3 may be against it
SURE = 2.58  # of Mann and Kendall's z. Costs that follow each other are not independent, so that a change must have a size, too:
SMALL = 0.01  # part of the whole fall; less over the last third is none
RISEN = 0.05  # part of the whole fall by which validation must have risen above its best to be called overfitted
NOISES = 3.0  # times the noise that a level must differ by


@dataclass(frozen=True)
class Curve:
    """One curve.

    column, n         its column, points
    state             falling, flat, rising, exploded (ends above its start), not finite, or short
    first, last       costs of the first and the last point; best: the least, at step best_at, the first of equal ones
    good_from         the first step whose cost is within the noise of the best
    start, level      medians of the first tenth and of the last points
    fall              start - best
    noise             standard deviation from point to point
    tail              how many of the last points the trend is of: a third
    slope, z          of these: per step (Theil-Sen), and Mann and Kendall's z; change: slope times their length
    settled_at        step from which on the best so far is within SMALL of the fall of the best, or None
    not_finite_from   the first step that is NaN or infinite, or None; not_finite: how many
    """

    column: str
    n: int
    state: str
    first: float | None = None
    last: float | None = None
    best: float | None = None
    best_at: float | None = None
    good_from: float | None = None
    start: float | None = None
    level: float | None = None
    fall: float | None = None
    noise: float | None = None
    tail: int | None = None
    slope: float | None = None
    z: float | None = None
    change: float | None = None
    settled_at: float | None = None
    not_finite_from: float | None = None
    not_finite: int = 0


@dataclass(frozen=True)
class Run:
    """run: its name, or None; verdict: converged, still falling, overfitting, diverging, not finite, flat or short; because: sentences;
    train, validation: Curve or None; best_at and best: of validation, else of training; gap: validation minus training at the end, and
    gap_at_best, at the best step; points: (steps, costs) of validation, else training."""

    run: str | None
    verdict: str
    because: tuple
    train: Curve | None
    validation: Curve | None
    best_at: float | None
    best: float | None
    gap: float | None
    gap_at_best: float | None
    points: tuple


def ended(n):
    """How many of the last of n points the level at the end is the median of."""
    return LEVEL if n >= 3 * LEVEL else 3


@np.errstate(all="ignore")  # of finite costs whose differences are not
def measured(column, steps, costs):
    """The Curve of points in order of their steps."""
    steps, costs = np.asarray(steps, float), np.asarray(costs, float)
    finite = np.isfinite(costs)
    lost = {"not_finite": int(np.count_nonzero(~finite)), "not_finite_from": None if finite.all() else float(steps[~finite][0])}
    steps, costs = steps[finite], costs[finite]
    n = len(costs)
    if not n:
        return Curve(column, 0, "not finite", **lost)
    place = int(costs.argmin())
    best, spread = float(costs[place]), noise(costs)
    found = {
        "first": float(costs[0]), "last": float(costs[-1]), "best": best, "best_at": float(steps[place]),
        "good_from": float(steps[int((costs <= best + spread).argmax())]), "noise": spread, **lost,
    }  # fmt: skip
    if n < POINTS:
        return Curve(column, n, "not finite" if lost["not_finite"] else "short", **found)
    start = float(np.median(costs[: max(1, n // START)]))
    level = float(np.median(costs[-ended(n) :]))
    fall = start - best
    count = min(n, max(LEAST, math.ceil(n / TAIL)))
    tail = slice(n - count, None)
    per_step, z = slope(steps[tail], costs[tail]), trend(costs[tail])
    change = per_step * float(steps[tail][-1] - steps[tail][0])
    settled = np.flatnonzero(np.minimum.accumulate(costs) <= best + SMALL * max(fall, 0.0))
    state = "flat"
    if lost["not_finite"]:
        state = "not finite"
    elif level > start + NOISES * spread and level - start > SMALL * fall:
        state = "exploded"
    elif abs(z) >= SURE and abs(change) >= max(SMALL * fall, spread):
        state = "rising" if change > 0 else "falling"
    return Curve(
        column, n, state, start=start, level=level, fall=fall, tail=count, slope=per_step, z=z, change=change,
        settled_at=float(steps[settled[0]]), **found,
    )  # fmt: skip


def judged(name, train, validation, word):
    """The Run of two curves, each (column, steps, costs) or None; ``word``: what a step is called."""
    curves = {side: None if given is None else measured(*given) for side, given in (("train", train), ("validation", validation))}
    main, given = (curves["validation"], validation) if validation is not None else (curves["train"], train)
    points = (tuple(given[1]), tuple(given[2]))
    gap = gap_at_best = None
    if None not in curves.values() and curves["train"].n and main.n:
        ends = [curve.last if curve.level is None else curve.level for curve in (curves["validation"], curves["train"])]
        gap = ends[0] - ends[1]
        beside = near(train, main.best_at)
        gap_at_best = None if beside is None else main.best - beside
    verdict, because = verdict_of(curves, train, validation, word)
    if gap is not None:
        best = "" if gap_at_best is None else f", {gap_at_best:.6g} at the best"
        because.append(f"gap (validation - training): {gap:.6g} at the end{best}")
    return Run(name, verdict, tuple(because), curves["train"], curves["validation"], main.best_at, main.best, gap, gap_at_best, points)


def near(given, step):
    """The finite cost at the step nearest before, or at, a step."""
    steps, costs = np.asarray(given[1], float), np.asarray(given[2], float)
    kept = np.isfinite(costs) & (steps <= step)
    return float(costs[kept][-1]) if kept.any() else None


def verdict_of(curves, train, validation, word):
    named = [(side, curve) for side, curve in curves.items() if curve is not None]
    bad = [(side, curve) for side, curve in named if curve.not_finite]
    if bad:
        lines = [f"{side}: {c.not_finite} costs are NaN or infinite, the first at {word} {c.not_finite_from:.10g}" for side, c in bad]
        return "not finite", lines + [best_line(side, curve, word) for side, curve in named if curve.n]
    if all(curve.state == "short" for _, curve in named):
        return "short", [f"{side}: {curve.n} point{'s' * (curve.n != 1)}; {POINTS} are needed for a trend" for side, curve in named]
    lines = [described(side, curve, word) for side, curve in named]
    first = curves["train"] or curves["validation"]
    if curves["train"] is not None and first.state in ("rising", "exploded"):
        return "diverging", lines
    over = None if validation is None else overfitted(curves, train, validation, word)
    if over is not None:
        return "overfitting", [over, *lines]
    main = first if validation is None or curves["validation"].state == "short" else curves["validation"]
    if main.state in ("rising", "exploded"):
        return "diverging" if curves["train"] is None else "overfitting", lines
    if main.state == "falling":
        return "still falling", lines
    if main.state == "short":
        return "short", lines
    return "flat" if main.start - main.level <= NOISES * main.noise else "converged", lines


@np.errstate(all="ignore")
def overfitted(curves, train, validation, word):
    """What shows that validation rises since its best while training does not, or None."""
    curve = curves["validation"]
    if curve.n < POINTS or curve.fall is None:
        return None
    steps, costs = (np.asarray(part, float) for part in validation[1:])
    place = int(costs.argmin())
    after = costs[place:]
    if len(after) < POINTS:
        return None
    risen = curve.level - float(np.median(costs[max(0, place - 1) : place + 2]))
    z = trend(after)
    if z < SURE or risen < max(RISEN * curve.fall, NOISES * curve.noise):
        return None
    text = f"validation rose by {risen:.6g} since its best at {word} {curve.best_at:.10g} (z {z:.3g}; its noise is {curve.noise:.2g})"
    if curves["train"] is not None and curves["train"].n:
        beside = near(train, curve.best_at)
        end = curves["train"].last if curves["train"].level is None else curves["train"].level
        if beside is not None:
            if end - beside > max(NOISES * curves["train"].noise, RISEN * (curves["train"].fall or 0.0)):
                return None  # training rises, too: that is no overfitting
            text += f"; training went from {beside:.6g} to {end:.6g} meanwhile"
    return text


def best_line(side, curve, word):
    return f"{side}: best {curve.best:.6g} at {word} {curve.best_at:.10g}"


def described(side, curve, word):
    """One sentence on a curve."""
    if curve.state == "short":
        return f"{side}: {curve.n} point{'s' * (curve.n != 1)}; {POINTS} are needed for a trend"
    part = f", {abs(curve.change) / curve.fall:.2%} of its fall" if curve.fall and curve.fall > 0 else ""
    state = "no trend" if curve.state == "flat" else curve.state
    trend_text = f"{state} in the last {curve.tail} points: {curve.change:+.3g}{part} (z {curve.z:.3g}, noise {curve.noise:.2g})"
    if curve.state == "exploded":
        trend_text = f"ends at {curve.level:.6g} (median of the last {ended(curve.n)}), above its start {curve.start:.6g}"
    settled = f"; within {SMALL:.0%} of its fall of the best from {word} {curve.settled_at:.10g}" if curve.state == "flat" else ""
    return f"{best_line(side, curve, word)}; {trend_text}{settled}"
