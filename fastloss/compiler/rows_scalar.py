"""The functions that the text of rows_python.py calls, of floats: SCALAR, by name. rows_numba.py has the same of vectors."""

import math
import operator

from fastloss.losses import functions
from fastloss.losses.margins import slack


def beyond(value, best):
    """Is a number larger than the largest before it, or the first NaN?"""
    return value > best or (value != value and best == best)


def plus(total, lost, value):
    """total + value, and what its rounding loses added to ``lost``: sums as good as of twice the precision."""
    result = total + value
    part = result - total
    return result, lost + ((total - (result - part)) + (value - part))


def rounded(total, lost):
    result = total + lost
    return result if result == result else total  # an infinite total has lost NaN


def left(total, lost):
    """What rounded leaves of a sum; NaN if that is not finite."""
    return (total - (total + lost)) + lost


def threshold(rows, i, classes):
    """(peak, tau, tau_low) as rowspec.Threshold has them, by sums that are rounded once."""
    row = rows[i]
    peak = math.nan if any(score != score for score in row) else max(row)
    if not math.isfinite(peak):
        return math.nan, math.nan, math.nan
    support, tau, low, before = [score for score in row if score - peak >= -1.0], -1.0, 0.0, classes + 1
    while len(support) < before:
        apart = [part for score in support for part in (score, -peak)]  # by turns, so that nothing overflows
        tau = math.fsum((*apart, -1.0)) / len(support)
        low = math.fsum((*apart, -1.0, *[-tau] * len(support))) / len(support)
        before, support = len(support), [score for score in support if math.fsum((score, -peak, -tau, -low)) > 0.0]
    return peak, tau, low


def pairs(z, y, i, classes, margin, kept, index):
    """hinges as rowspec.Pairs has it; ``owed`` goes to kept[index], if there is such a place."""
    scores, total, lost, owed = z[i], 0.0, 0.0, [0.0] * classes
    others = [k for k in range(classes) if y[i][k] == 0.0]
    if any(number != number for number in (*scores, *y[i])):
        total = math.nan
    for j in range(classes if total == total else 0):
        for k in others if y[i][j] != 0.0 else ():
            term = slack(scores[k], scores[j], margin)
            if not term <= 0.0:
                total, lost = plus(total, lost, term)
                owed[k], owed[j] = owed[k] + 1.0, owed[j] - 1.0
    if index >= 0:
        kept[index] = owed if total == total else [math.nan] * classes
    return rounded(total, lost)


def exp_gap(value, base):
    """exp(value - base) for value up to base, as if the difference were exact: rounding it would cost hundreds of ULP."""
    gap = value - base
    if not gap > -800.0:
        return gap if gap != gap else 0.0
    part = gap - value
    exponential = math.exp(gap)
    return exponential + exponential * ((value - (gap - part)) - (base + part))


SCALAR = {
    "_get": lambda rows, i, j: rows[i][j],
    "_put": lambda rows, i, j, value: operator.setitem(rows[i], j, value),
    "_gather": lambda rows, i, label: rows[i][label],
    "_across": operator.getitem,  # of a one-dimensional array, the same number for all rows
    "_lookup": operator.getitem,  # the same, by the row's label
    "_own": lambda labels, i: labels[i][0],
    "_spread": int,  # a class, the same for all rows
    "_number": float,
    "_least": lambda: -math.inf,
    "_zero": lambda: 0.0,
    "_nothing": lambda: 0.0,  # a sum of no numbers
    "_same": operator.eq,
    "_pick": lambda which, yes, no: yes if which else no,
    "_indicator": float,
    "_settled": lambda top: top + (top - top),  # what is infinite becomes NaN, and makes NaN of all that is relative to it
    "_inverse": lambda a, b: 1.0 / (a + b),
    "_log1p_quotient": lambda a, b: functions.log1p(a / b),
    "_product": operator.mul,
    "_beyond": beyond, "_plus": plus, "_rounded": rounded, "_left": left, "_exp_gap": exp_gap,
    "_threshold": threshold, "_pairs": pairs,
}  # fmt: skip
