"""The whole vocabulary of rowwise definitions (losses/rowspec.py) on Numba and in plain Python, against NumPy written out by hand."""

# ruff: noqa: N805 - formulas have no self

import numpy as np
import pytest

from fastloss.compiler.rowprogram import Program
from fastloss.compiler.rows_along import Rows
from fastloss.compiler.rows_lanes import Lanes
from fastloss.compiler.subset import FormulaError
from fastloss.engine.numba_backend import NumbaBackend
from fastloss.engine.python_backend import PythonBackend
from fastloss.losses.functions import exp, log
from fastloss.losses.rowspec import LABELS, Last, Pairs, Partition, RowDefinition, Threshold, at, each, largest, once, running, total
from fastloss.losses.spec import REAL, ZERO_ONE, Interval, Parameter

ANYTHING = (0, 0.0, 0.0)


class Rivals:
    """Labels: sums and the largest without the label's class, class weights, places as numbers, fixes that overwrite one another. Some
    steps have names that the emitted text might use itself."""

    slope = Parameter(2.0, Interval(0.0, 9.0), "of the gradient")

    @each
    def found(z, slope):
        return slope * z

    @each
    def deep(found, j, c):
        return found + c * j

    @largest(without="label")
    def rival(deep):
        return deep

    @largest
    def most(z):
        return abs(z)

    @total(without="label")
    def spread(z, c):
        return c * abs(z)

    @total
    def plus(deep, rival):
        return abs(deep - rival)

    @once
    def weight(deep_label, rival, found_label):
        return rival - deep_label + 0.5 * found_label

    def value(weight, spread, plus, classes, label, rival_at, most, c_label):
        return weight + spread + plus / classes + 0.25 * label + 0.125 * rival_at + c_label * most

    def gradient(z, j, plus, deep):
        return z + j * plus - deep

    @at("label")
    def own(weight, deep_label):
        return weight - deep_label

    @at("most")
    def at_most(spread):
        return -spread

    def hessian(found, plus):
        return found * found + plus

    @at("rival", part="hessian")
    def at_rival(rival):
        return -abs(rival)


def rivals(y, z, c, slope):
    i, classes = np.arange(len(z)), z.shape[1]
    j, own = np.arange(classes), np.arange(classes) == y[:, None]
    found = slope * z
    deep = found + c * j
    others = np.where(own, -np.inf, deep)
    rival, rival_at, most_at = others.max(1), others.argmax(1), np.abs(z).argmax(1)
    spread, plus = np.where(own, 0, c * np.abs(z)).sum(1), np.abs(deep - rival[:, None]).sum(1)
    weight = rival - deep[i, y] + 0.5 * found[i, y]
    value = weight + spread + plus / classes + 0.25 * y + 0.125 * rival_at + c[y] * np.abs(z).max(1)
    gradient = z + j * plus[:, None] - deep
    gradient[i, y] = weight - deep[i, y]
    gradient[i, most_at] = -spread
    hessian = found**2 + plus[:, None]
    hessian[i, rival_at] = -np.abs(rival)
    return value, gradient, hessian


class Ranks:
    """Rows of targets: two partitions, running sums of their probabilities, a running sum of a running sum."""

    scores = Partition("z")
    targets = Partition("y", prefix="y_")

    @running
    def below(e, norm):
        return e * norm

    @running
    def y_below(y_e, y_norm):
        return y_e * y_norm

    @each
    def apart(below, y_below):
        return below - y_below

    @running
    def sum_of_sums(below):
        return below

    @total
    def distance(apart):
        return apart * apart

    @total
    def twice(sum_of_sums):
        return sum_of_sums

    @largest
    def farthest(apart):
        return abs(apart)

    def value(distance, twice, top, log_rest, y_top, y_log_rest, farthest, farthest_at, rest, e_top, top_at):
        return distance + twice + (top + log_rest) - (y_top + y_log_rest) + farthest + farthest_at + log(exp(rest / e_top)) + top_at

    def gradient(e, norm, y_e, y_norm, apart, y):
        return e * norm - y_e * y_norm + apart * y

    @at("farthest")
    def at_farthest(distance):
        return distance


def ranks(y, z):
    def softmax(x):
        e = np.exp(x - x.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True), x.max(1) + np.log(e.sum(1)), e.sum(1) - 1

    (p, lse, rest), (q, y_lse, _) = softmax(z), softmax(y)
    apart = p.cumsum(1) - q.cumsum(1)
    distance, farthest_at = (apart**2).sum(1), np.abs(apart).argmax(1)
    value = distance + p.cumsum(1).cumsum(1).sum(1) + lse - y_lse + np.abs(apart).max(1) + farthest_at + rest + z.argmax(1)
    gradient = p - q + apart * y
    gradient[np.arange(len(z)), farthest_at] = distance
    return value, gradient


class Cuts:
    """A threshold, and what is read of a running sum besides itself: where it ends, and what its roundings lost."""

    cut = Threshold()

    @each
    def share(z, peak, tau, tau_low):
        q = ((z - peak) - tau) - tau_low
        return q if q > 0.0 else 0.0

    @running
    def climb(z, share):
        return z + share

    end = Last("climb")

    @total
    def back(climb, climb_low, end, end_low):
        return abs((end - climb) + (end_low - climb_low))

    def value(back, end, peak, tau, share_label):
        return back + end + peak + tau + share_label

    def gradient(climb, climb_low, end, end_low, share):
        return (end - climb) + (end_low - climb_low) + share


def cuts(y, z):
    peak = z.max(1)
    down = -np.sort(-(z - peak[:, None]), 1)
    taus = (down.cumsum(1) - 1) / np.arange(1, z.shape[1] + 1)
    tau = taus[np.arange(len(z)), (down > taus).sum(1) - 1]
    share = np.maximum(z - (peak + tau)[:, None], 0)
    climb = (z + share).cumsum(1)
    behind = climb[:, -1:] - climb
    return np.abs(behind).sum(1) + climb[:, -1] + peak + tau + share[np.arange(len(z)), y], behind + share


class Hits:
    """Pairs beside a partition: both keep numbers of every class; what is made of them, in a later stage."""

    margin = Parameter(1.0, REAL, "of the pairs")
    softmax = Partition("z")
    pairs = Pairs()

    @total
    def missed(owed, e, norm):
        return abs(owed) * (e * norm)

    def value(hinges, missed, top, log_rest):
        return hinges + missed + (top + log_rest)

    def gradient(owed, e, norm, hinges):
        return owed + e * norm + hinges

    def hessian(e, norm):
        return e * norm


def hits(y, z, margin):
    short = np.maximum(margin + z[:, None, :] - z[:, :, None], 0) * (y[:, :, None] * (1 - y[:, None, :]))
    owed, hinges = (short > 0).sum(1) - (short > 0).sum(2), short.sum((1, 2))
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    value = hinges + (abs(owed) * p).sum(1) + np.log(np.exp(z).sum(1))
    return value, owed + p + hinges[:, None], p


def definition_of(body, target):
    facts = {"target": target, "prediction": REAL, "weights": target is LABELS, "simplex": None, "family": "test"}
    return RowDefinition(body, **facts)


RIVALS, RANKS, CUTS = definition_of(Rivals, LABELS), definition_of(Ranks, REAL), definition_of(Cuts, LABELS)
HITS = definition_of(Hits, ZERO_ONE)


def computed(backend, definition, dtype, y, z, parameters=(), class_weight=None):
    """(value, gradient, hessian or None) by a backend alone, as engine/rows.py calls it."""
    bound = backend.bind_rows(definition, dtype, parameters, class_weight, ANYTHING, ANYTHING, None)
    hessian = hasattr(definition.body, "hessian")
    value, *made = np.empty(len(z), dtype), np.empty(z.shape, dtype), np.empty(z.shape, dtype) if hessian else None
    to = tuple(None if array is None else (array, 0, False) for array in made)
    given = [(array, 0, False) for array in (z, y)]
    error, tallies = backend.run_rows([bound], *z.shape, *given, None, (value, 0, False), to, 1 + hessian, False, False, 1.0, 2)
    assert error is None and tallies == []
    return value, *made


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("backend", [NumbaBackend(), PythonBackend()], ids=["numba", "python"])
@pytest.mark.parametrize("classes", [2, 5, 70])
def test_programs(classes, backend, dtype):
    rng = np.random.default_rng(classes)
    z, y = rng.standard_normal((77, classes)).astype(dtype), rng.standard_normal((77, classes)).astype(dtype)
    labels, c = rng.integers(0, classes, 77), rng.random(classes).astype(dtype)
    wide = z.astype(np.float64), c.astype(np.float64)
    tolerance = {"rtol": 2e-5, "atol": 2e-5 * classes} if dtype == "float32" else {"rtol": 1e-13, "atol": 1e-13 * classes}
    for weights in (c, None):
        found = computed(backend, RIVALS, dtype, labels, z, (1.5,), weights)
        for mine, want in zip(found, rivals(labels, wide[0], np.ones(classes) if weights is None else wide[1], 1.5), strict=True):
            np.testing.assert_allclose(mine, want, **tolerance)
    value, gradient, _ = computed(backend, RANKS, dtype, y, z)
    for mine, want in zip((value, gradient), ranks(y.astype(np.float64), wide[0]), strict=True):
        np.testing.assert_allclose(mine, want, **tolerance)
    value, gradient, _ = computed(backend, CUTS, dtype, labels, z)
    for mine, want in zip((value, gradient), cuts(labels, wide[0]), strict=True):
        np.testing.assert_allclose(mine, want, **tolerance)
    found = computed(backend, HITS, dtype, (y > 0).astype(dtype), z, (0.75,))
    for mine, want in zip(found, hits((y > 0).astype(np.float64), wide[0], 0.75), strict=True):
        np.testing.assert_allclose(mine, want, **tolerance)


@pytest.mark.parametrize("target", [LABELS, ZERO_ONE])
def test_pairs_are_refused_without_what_they_look_at(target):
    body = Hits if target is LABELS else type("NoMargin", (), {"pairs": Pairs(), "value": Hits.value})
    with pytest.raises(FormulaError, match="Pairs are of rows of targets, and look at a parameter `margin`"):
        Program(definition_of(body, target))


def test_two_kept_numbers_have_a_place_each_in_the_compiled_kernels():
    program = Program(HITS)
    lanes, rows = ("\n".join(form(program, "f32", "lg", {}).text("hits")) for form in (Lanes, Rows))
    assert "hinges, owed_kept)" in lanes and "owed_kept = <float*>a.kept[0]" in lanes and "gradient[j * FL_ACROSS + i] = v" in lanes
    assert "q_margin, owed + i * a.classes)" in rows and "owed = <float*>a.kept[0]" in rows
    assert ", NULL)" not in lanes + rows and "hinges, gradient)" not in lanes


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("backend", [NumbaBackend(), PythonBackend()], ids=["numba", "python"])
def test_running_sums_keep_what_they_round_away(backend, dtype):
    """1, then much smaller numbers: without the doubled digits what lies behind a class would be 0."""
    tiny = float(np.finfo(dtype).eps) / 8
    z = np.array([[1.0, -tiny, -tiny, -tiny]], dtype)
    _, gradient, _ = computed(backend, CUTS, dtype, np.array([0]), z)
    assert gradient[0, 1:].tolist() == pytest.approx([-2 * tiny, -tiny, 0.0], rel=1e-6, abs=0)
