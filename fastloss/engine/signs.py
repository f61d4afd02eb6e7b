"""The sign test: how likely so uneven counts are, if either of two were as likely to be the better one in each pair."""

import math
from fractions import Fraction

EXACT = 1000  # up to so many pairs the sum is made of integers
STIRLING = (1 / 12, 1 / 360, 1 / 1260, 1 / 1680, 1 / 1188)
SMALL = 15  # below it that series of Stirling's is not exact enough


def sign_test(first, second):
    """The two-sided p-value of a binomial test of ``first`` of ``first + second`` with probability 1/2; 1.0 of none.

    Up to 1,000 pairs it is a sum of integers, rounded once. Of more it is the probability of the smaller count, by Loader's saddle-point
    formula (Fast and accurate computation of binomial probabilities, 2000; what R's dbinom takes), times the sum of the ratios of those
    further out to it, all of them positive: right to 12 digits for 2e9 pairs, and to more of fewer. Below 1e-308 it may be 0.
    """
    n, k = first + second, min(first, second)
    if 2 * k == n:
        return 1.0
    if n <= EXACT:
        return min(1.0, float(Fraction(2 * sum(math.comb(n, i) for i in range(k + 1)), 1 << n)))
    return min(1.0, 2.0 * math.exp(log_probability(k, n) + math.log(tail(k, n))))


def tail(k, n):
    """The sum of the probabilities of 0 to k of n, over that of k."""
    total = term = 1.0
    for i in range(k, 0, -1):
        term *= i / (n - i + 1)
        total += term
        if term < 1e-17 * total:
            break
    return total


def log_probability(k, n):
    """The logarithm of comb(n, k) / 2**n."""
    if k == 0:
        return -n * math.log(2)
    return (
        left_over(n) - left_over(k) - left_over(n - k) - deviance(k, n / 2) - deviance(n - k, n / 2)
        + 0.5 * math.log(n / (2 * math.pi * k * (n - k)))
    )  # fmt: skip


def left_over(n):
    """What Stirling's formula leaves of log(n!)."""
    if n <= SMALL:
        return math.log(math.factorial(n)) - (n + 0.5) * math.log(n) + n - 0.5 * math.log(2 * math.pi)
    total = 0.0
    for part in reversed(STIRLING):
        total = part - total / (n * n)
    return total / n


def deviance(x, mean):
    """x log(x / mean) + mean - x, without cancellation where they are close."""
    if abs(x - mean) >= 0.1 * (x + mean):
        return x * math.log(x / mean) + mean - x
    v = (x - mean) / (x + mean)
    total, term, j = (x - mean) * v, 2 * x * v, 1
    while True:
        term *= v * v
        after = total + term / (2 * j + 1)
        if after == total:
            return total
        total, j = after, j + 1


def holm(values):
    """p-values adjusted by Holm's method (1979): the chance that any that is below a level is so by accident is below that level, whatever
    depends on what."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found, largest = [1.0] * len(values), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(values) - rank) * values[i]))
        found[i] = largest
    return found
