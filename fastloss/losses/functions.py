"""The functions a formula may call, in plain Python with C's edges: infinities and NaN come out, exceptions do not.

This is their meaning, slow and in float64. The compiled kernels have the same functions in kernels/vecmath.h, vectorised, and Numba in
compiler/vecmath.py.
"""

import math

INF = math.inf
NAN = math.nan
LOG_2 = 0.6931471805599453
LARGEST_EXP = 709.782712893384  # beyond it exp overflows, and Python would raise


def _product_tail(a, b, product):
    """a * b - product, exactly, for factors that are neither huge nor next to nothing."""
    high_a = a * 134217729.0 - (a * 134217729.0 - a)  # Veltkamp: the upper 26 bits of each factor,
    high_b = b * 134217729.0 - (b * 134217729.0 - b)
    low_a, low_b = a - high_a, b - high_b
    return ((high_a * high_b - product) + high_a * low_b + low_a * high_b) + low_a * low_b  # and Dekker's four products of them


def absolute(x):
    return math.fabs(x)


def minimum(a, b):
    """Python's own order-sensitive rule: a NaN in the first argument propagates, one in the second does not."""
    return b if b < a else a


def maximum(a, b):
    return b if b > a else a


def copysign(x, sign):
    return math.copysign(x, sign)


def sqrt(x):
    return math.sqrt(x) if x >= 0.0 else NAN


def exp(x):
    return math.exp(x) if not x > LARGEST_EXP else INF


def expm1(x):
    return math.expm1(x) if not x > LARGEST_EXP else INF


def log(x):
    if x > 0.0:
        return math.log(x)
    return -INF if x == 0.0 else NAN


def log1p(x):
    if x > -1.0:
        return math.log1p(x)
    return -INF if x == -1.0 else NAN


def tanh(x):
    return math.tanh(x)


def decay(x):
    """exp(-|x|), the one exponential that softplus and sigmoid are made of: between 0 and 1, so nothing overflows."""
    return math.exp(-math.fabs(x))


def softplus(x):
    """log(1 + exp(x)); the larger part is exact, so nothing cancels."""
    return math.fabs(x) * (0.5 + math.copysign(0.5, x)) + math.log1p(math.exp(-math.fabs(x))) if x - x == 0.0 else maximum(x, 0.0)


def sigmoid(x):
    """1 / (1 + exp(-x)) without 1 - something: relative accuracy at both ends."""
    e = math.exp(-math.fabs(x))
    return 1.0 / (1.0 + e) if x >= 0.0 else e / (1.0 + e)


def pow(x, y):
    """x ** y for x >= 0; NaN for x < 0."""
    if y == 0.0 or x == 1.0:
        return 1.0
    if x != x or y != y or x < 0.0:
        return NAN
    if x == 0.0 or x == INF:
        return INF if (x == INF) == (y > 0.0) else 0.0
    if y == INF or y == -INF:
        return INF if (x > 1.0) == (y > 0.0) else 0.0
    if y * math.log(x) < 700.0:
        return math.pow(x, y)
    root = math.pow(x, 0.5 * y) if y * math.log(x) < 1400.0 else INF
    return root * root  # overflows to infinity where math.pow would raise


def log_ratio(a, b):
    """log(a / b) for a, b >= 0: accurate where a / b is near 1, and the quotient can neither overflow nor underflow."""
    if a != a or b != b or a < 0.0 or b < 0.0:
        return NAN
    if a == 0.0 or b == 0.0 or a == INF or b == INF:
        high, low = a == INF or b == 0.0, a == 0.0 or b == INF
        return (NAN if low else INF) if high else -INF
    if 0.5 * b < a < 2.0 * b:
        return math.log1p((a - b) / b)
    mantissa_a, exponent_a = math.frexp(a)
    mantissa_b, exponent_b = math.frexp(b)
    return (exponent_a - exponent_b) * LOG_2 + math.log(mantissa_a / mantissa_b)


def kl_div(a, b):
    """a log(a / b) - a + b for a, b >= 0, the generalised Kullback-Leibler divergence: 0 where a = b, else positive, and accurate near 0.
    b where a is 0; infinite where b alone is 0 or one of the two is infinite; NaN where both are, or where one is negative."""
    if not (a >= 0.0 and b >= 0.0):
        return NAN
    if a == 0.0 or b == 0.0 or a == INF or b == INF:
        return b + 0.0 if a == 0.0 else NAN if a == b else INF
    # scaled by 2**-shift, a is x, b is w and 2**k b is v, for the k with 1 / (2 ln 2) < x / v < 1 / ln 2; see kernels/vecmath64.h
    (m1, i), (m2, j) = math.frexp(a), math.frexp(b)
    k = i - j + (m1 > 1.4427 * m2) - (m1 <= 0.72135 * m2)
    m1 = math.ldexp(m1, i - j - k)
    s = (m1 - m2) / (m1 + m2)
    series = 0.0
    for power in range(21, 1, -2):
        series = series * (s * s) + 2.0 / power
    shift = i if a > b else j
    x, w, v = math.ldexp(a, -shift), math.ldexp(b, -shift), math.ldexp(m2, j + k - shift)
    log_hi, log_lo = k * 0.6931471805598903, k * 5.497923018708371e-14  # of 2**k: the first is exact
    product = x * log_hi
    first = math.fsum((product, _product_tail(x, log_hi, product), w, -v))
    y = math.fsum((first, (x - v) * s, x * (s * (s * s) * series + log_lo)))
    return math.ldexp(y, shift - 16) * 65536.0 if shift > 0 else math.ldexp(y, shift)


def log1p_difference(a, b):
    """log1p(a) - log1p(b): accurate where a is near b, and nothing overflows."""
    low, high = (a, b) if a < b else (b, a)
    if not (low > -1.0 and high < INF):
        return NAN if low < -1.0 else log1p(a) - log1p(b)
    if high > 1e3 * (1.0 + low):
        return log1p(a) - log1p(b)
    e, s = high - low, 1.0 + low
    x = e / s
    e_lost, s_lost = math.fsum((high, -low, -e)), math.fsum((1.0, low, -s))
    d = math.log1p(x) + (e_lost - x * s_lost) / (s + e)
    return -d if a < b else d


def exp_product(a, b):
    """exp(a * b) without the error that rounding a * b would bring: |a * b| times an ULP, hundreds where the result is small."""
    product = a * b
    if product > LARGEST_EXP:
        return INF
    if not math.fabs(product) < 800.0 or math.fabs(a) > 1e290 or math.fabs(b) > 1e290:
        return exp(product)
    main = math.exp(product)
    return main + main * _product_tail(a, b, product)


def log1pmx(x):
    """log1p(x) - x, which cancels to -x*x/2 near 0. There: with r = x / (2 + x), log1p(x) = 2 atanh(r) and 2 r - x = -x r."""
    if x < -0.6 or x > 1.5 or x != x:
        return log1p(x) - x if x < INF else -INF if x == INF else NAN
    r = x / (2.0 + x)
    square = r * r
    series = 0.0
    for k in range(26, -1, -1):
        series = series * square + 1.0 / (2 * k + 3)
    return r * (2.0 * square * series - x)


def expm1mx(x):
    """expm1(x) - x, which cancels to x*x/2 near 0; there by its Taylor series."""
    if x < -1.0 or x > 1.0 or x != x:
        return expm1(x) - x if x < INF else x
    series = 1.0
    for k in range(20, 2, -1):
        series = 1.0 + x / k * series
    return 0.5 * x * x * series
