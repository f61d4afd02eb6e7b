"""Derivatives by differences, each with an estimate of its own error: what given ones are held against."""

import numpy as np

SHRINK = 1.6  # from one step to the next
STEPS = 20  # from the first step 0.05 to 7e-6, of a scale of 1
FIRST = 0.05
BACK, BEND = 4, 0.22  # so many steps back the bend between two slopes is compared with; a curvature's is 0.15 of that by now
SETTLED = 1e-12  # a slope that is known to this part of it gets no better
EPSILON, TINY = float(np.finfo(np.float64).eps), float(np.finfo(np.float64).smallest_subnormal)


@np.errstate(all="ignore")
def derivative(function, x, low=-np.inf, high=np.inf, noise=0.0):
    """(slope, error) of each element of a vectorised function at x, where function(x + h)[i] depends on x[i] + h[i] alone.

    Central differences of ever smaller steps, extrapolated to the step 0 (Ridders 1982): ``slope`` is the entry of the table that
    changes least, and ``error`` by how much it did, with what float64 rounds in function's values; infinite at the edges low and high,
    beyond which no step goes, and at a kink, where the slopes on both sides differ however small the step. ``noise`` is what is rounded
    within function besides, an absolute error of its values.
    """
    x = np.asarray(x, np.float64)
    room = np.minimum(x - low, high - x)
    step = np.minimum(FIRST * np.maximum(np.abs(x), 1.0), 0.5 * room)
    start = function(x)
    slope, error = np.full(x.shape, np.nan), np.full(x.shape, np.inf)
    row, bends, clean = [], [], np.zeros(x.shape, np.int64)  # clean: steps since one that reached over a kink
    for _ in range(STEPS):
        clean += 1
        above, below = np.where(x + step < high, x + step, x), np.where(x - step > low, x - step, x)
        up, down = function(above), function(below)
        width = np.where((above > x) & (below < x), above - below, np.nan)  # what was really stepped
        rounding = (EPSILON * (np.abs(up) + np.abs(down) + np.abs(start)) + noise + 4 * TINY) / width
        bends.append(np.abs((up - start) / (above - x) - (start - down) / (x - below)))
        if len(bends) > BACK:  # of a curvature it goes with the step; what does not is a kink within reach, across which all lies at rest
            bent = (bends[-1] > BEND * bends[-1 - BACK]) & (bends[-1] > 100 * rounding)
            error, clean = np.where(bent, np.inf, error), np.where(bent, 0, clean)
        rounding = rounding + bends[-1] * np.abs((above - x) - (x - below)) / width  # the slope is that of the middle, which is not x
        new = [(up - down) / width]
        factor = 1.0
        for order in range(len(row)):
            factor *= SHRINK**2
            new.append((factor * new[order] - row[order]) / (factor - 1))
            change = np.maximum(np.abs(new[-1] - new[-2]), np.abs(new[-1] - row[order])) + 2 * rounding
            better = (change < error) & (clean > order + 3)  # two steps may reach just over a kink, and bend too little to be noticed
            better &= len(bends) > BACK  # before, kinks are not looked for
            slope, error = np.where(better, new[-1], slope), np.where(better, change, error)
        row, step = new, step / SHRINK
        if len(bends) > BACK + 3 and (error <= SETTLED * np.abs(slope)).all():
            break
    return slope, np.where(room > 0, error, np.inf)
