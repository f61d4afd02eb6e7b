"""How heavy the tails of residuals are, by quantiles, which outliers cannot carry away as they do moments.

The measure is Crow and Siddiqui's (Robust estimation of location, JASA 1967; recommended as a robust kurtosis by Kim and White, On more
robust estimation of skewness and kurtosis, Finance Research Letters 2004): the range of the middle 95 % over that of the middle half,
here divided by the normal distribution's, so that 1 is normal. It is 0.65 of the uniform distribution, 1.22 of Student's t with 5
degrees of freedom, 1.43 with 3, 1.49 of Laplace's, 1.81 of t with 2, whose variance is infinite, and 4.4 of Cauchy's.

Few outliers do not reach the 2.5 % quantile. They are counted beyond Tukey's far fences (Exploratory Data Analysis, 1977), 3 interquartile
ranges outside the quartiles, where 2 in a million normal residuals lie, together with the part of the squared error that they make.
"""

import math
from statistics import NormalDist
from types import SimpleNamespace

import numpy as np

Z = NormalDist().inv_cdf
NORMAL = Z(0.975) / Z(0.75)  # 2.91
FENCE = 3.0  # interquartile ranges beyond the quartiles
HEAVY = 1.25  # between t with 5 degrees of freedom and with 3: from here on the median is the better estimate of a centre than the mean
VERY_HEAVY = 2.0  # beyond t with 2 degrees: the mean square need not settle with more data
# The relative standard error of the ratio is 1.33 / sqrt(n) for normal residuals (a test simulates it); 3 of them must not be chance.
NOISE, SURE = 1.33, 3.0
CARRIED, MOSTLY = 0.2, 0.5  # part of the squared error in far outliers: worth a word; more than in all other rows together
BIASED = 8.0  # interquartile ranges of bias, beyond which the sketch (relative error 1/128 of the residual) does not resolve the tails
SHIFTED = 0.25  # share of targets above or below their predictions: less is no prediction of a centre


def tails_of(e):
    """Of the result of a Column of residuals, by weight where there are weights:

    weight     the ratio, 1 for the normal distribution; None where the middle half is a point, or not resolved
    far_share  share of residuals beyond the far fences; carried: the part of all squared error that these make
    level      light (or normal), heavy, very heavy, or unknown
    iqr, median, sigma (iqr / 1.349), covered: share of rows whose target is at most the prediction
    """
    rows, e = e.n, e.weighted or e
    q = e.quantiles
    iqr, median = q[0.75] - q[0.25], q[0.5]
    middle = e.histogram
    weight = np.minimum(middle.weight, 2.0**1000)  # so that no sum overflows
    whole = float(weight.sum())
    covered = float(weight[middle.low >= 0].sum()) / whole
    found = SimpleNamespace(n=rows, iqr=iqr, median=median, sigma=iqr / (2 * Z(0.75)), covered=covered, level="unknown")
    found.weight = found.far_share = found.carried = None
    if iqr <= 0 or abs(median) > BIASED * iqr:
        return found
    found.weight = (q[0.975] - q[0.025]) / iqr / NORMAL
    low, high = q[0.25] - FENCE * iqr, q[0.75] + FENCE * iqr
    far = (middle.high < low) | (middle.low > high)
    found.far_share = float(weight[far].sum()) / whole
    scale = max(abs(e.min), abs(e.max))  # so that no square overflows
    squares = ((middle.low + middle.high) / (2 * scale)) ** 2 * weight
    found.carried = float(squares[far].sum() / squares.sum())
    limit = 1 + max(HEAVY - 1, SURE * NOISE / math.sqrt(getattr(e, "n_effective", rows)))
    if found.weight >= max(VERY_HEAVY, limit) or found.carried >= MOSTLY:
        found.level = "very heavy"
    elif found.weight >= limit or found.carried >= CARRIED:
        found.level = "heavy"
    else:
        found.level = "light"
    return found
