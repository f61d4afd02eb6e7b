"""What a curve shows, in numbers that do not hang on single points: noise, slope, trend. NumPy alone.

noise   standard deviation of what changes from point to point: 1.4826 median |d| / sqrt(6), with d the second differences, which a
        straight line has none of (the difference-based estimate of Gasser, Sroka and Jennen-Steinmetz, Biometrika 1986, with a median)
slope   Theil and Sen's: the median of the slopes between all pairs of points (Sen, JASA 1968)
trend   Mann and Kendall's z: how many pairs of points rise more than fall, over its standard deviation without a trend (Kendall, Rank
        Correlation Methods, with the correction for ties and for continuity). Beyond 2.58 it is chance in 1 of 100
"""

import math

import numpy as np

PAIRED = 400  # points whose pairs are looked at, 80,000; longer stretches are thinned to medians


def noise(costs):
    """0 for fewer than 4 points."""
    if len(costs) < 4:
        return 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        second = np.abs(costs[2:] - 2 * costs[1:-1] + costs[:-2])
    return float(1.4826 * np.median(second) / math.sqrt(6))


def thinned(steps, costs):
    """At most PAIRED points: the medians of stretches of equal length."""
    if len(costs) <= PAIRED:
        return steps, costs
    parts = np.array_split(np.arange(len(costs)), PAIRED)
    return tuple(np.array([np.median(values[part]) for part in parts]) for values in (steps, costs))


def slope(steps, costs):
    """Theil and Sen's slope; 0 for fewer than 2 points."""
    steps, costs = thinned(steps, costs)
    i, j = np.triu_indices(len(costs), 1)
    if not len(i):
        return 0.0
    return float(np.median((costs[j] - costs[i]) / (steps[j] - steps[i])))


def trend(costs):
    """Mann and Kendall's z; 0 for fewer than 3 points, or all equal."""
    costs = np.asarray(costs, float)
    costs = thinned(costs, costs)[1]
    n = len(costs)
    if n < 3:
        return 0.0
    i, j = np.triu_indices(n, 1)
    score = int(np.sign(costs[j] - costs[i]).sum())
    ties = np.unique(costs, return_counts=True)[1].astype(float)
    variance = (n * (n - 1) * (2 * n + 5) - float((ties * (ties - 1) * (2 * ties + 5)).sum())) / 18
    if variance <= 0 or score == 0:
        return 0.0
    return (score - math.copysign(1, score)) / math.sqrt(variance)
