"""Exact sums as Python integers in units of 2**-1088, and the one rounding at their end."""

import math
import operator

from fastloss.engine.environment import ieee

SHIFT = 1088
ONE = 1 << SHIFT
SMALL = 1e-300  # below it a quotient may be subnormal, and Python's last step no longer exact whatever the environment
divide = ieee(operator.truediv)


def quotient(numerator, denominator):
    """numerator / denominator correctly rounded (Python's own division of integers is), infinite where it overflows."""
    try:
        value = numerator / denominator
    except OverflowError:
        return math.inf if (numerator > 0) == (denominator > 0) else -math.inf
    return divide(numerator, denominator) if -SMALL < value < SMALL and numerator else value


def as_int(value):
    """A finite float as such an integer."""
    numerator, denominator = float(value).as_integer_ratio()
    return numerator * (ONE // denominator)


def with_specials(value, n_nan, n_positive, n_negative):
    """What a sum or mean is when some of its terms were NaN or infinite."""
    if n_nan or (n_positive and n_negative):
        return math.nan
    return math.inf if n_positive else -math.inf if n_negative else value
