"""The true values: for float32 arguments float64 formulas, for float64 arguments MPFR. Functions are told apart by their name."""

import gmpy2
import numpy as np

EXACT = {
    "abs": np.abs,
    "copysign": np.copysign,
    "min": lambda a, b: np.where(b < a, b, a),
    "max": lambda a, b: np.where(b > a, b, a),
}  # one rule for both dtypes, without rounding; min and max are Python's


def _cancelling(x, far, *coefficients):
    """far where |x| is not small; there (it would cancel) x**2 times a short series, of an error below 2**-40."""
    near = x * x * np.polynomial.polynomial.polyval(x, coefficients)
    return np.where(np.abs(x) < 2.0**-9, near, far)


def _log1pmx(x):
    return np.where(x == np.inf, -np.inf, _cancelling(x, np.log1p(x) - x, -1 / 2, 1 / 3, -1 / 4, 1 / 5, -1 / 6))


def _expm1mx(x):
    return np.where(x == np.inf, np.inf, _cancelling(x, np.expm1(x) - x, 1 / 2, 1 / 6, 1 / 24, 1 / 120))


def _log_ratio(a, b):
    """Here a - b is exact, and a / b neither overflows nor underflows, for float32 arguments."""
    near = (a < 2 * b) & (b < 2 * a)
    value = np.where(near, np.log1p((a - b) / np.where(near, b, 1.0)), np.log(a / b))
    return np.where((a < 0) | (b < 0), np.nan, np.where((b == 0) & (a > 0), np.inf, value))


def _kl_div(a, b):
    x = (b - a) / np.where(a == 0, 1.0, a)
    value = np.where(np.abs(x) < 0.5, -a * _log1pmx(x), a * np.log(a / b) - (a - b))
    value = np.where(np.abs(a - b) == np.inf, np.inf, np.where(a == 0, b + 0.0, np.where((b == 0) & (a > 0), np.inf, value)))
    return np.where((a < 0) | (b < 0), np.nan, value)


def _log1p_difference(a, b):
    """Here 1 + the smaller rounds by 2**-53 of it at most, and the quotient does not overflow, for float32 arguments."""
    return np.where(a < b, -1.0, 1.0) * np.log1p(np.abs(a - b) / np.where(np.minimum(a, b) < -1, np.nan, 1.0 + np.minimum(a, b)))


def _pow(a, b):
    """C's pow for a >= 0, and NaN for a < 0 unless b is 0."""
    return np.where((a < 0) & (b != 0), np.nan, np.power(np.where(a == 0, 0.0, a), b))


# float64 -> float64; arguments that are float32 numbers lose at most 2**-35 of the result
SINGLE = EXACT | {
    "exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "tanh": np.tanh, "sqrt": np.sqrt,
    "decay": lambda x: np.exp(-np.abs(x)),
    "softplus": lambda x: np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x))),
    "sigmoid": lambda x: 1.0 / (1.0 + np.exp(-x)),
    "log1pmx": _log1pmx, "expm1mx": _expm1mx,
    "pow": _pow, "log_ratio": _log_ratio, "kl_div": _kl_div, "exp_product": lambda a, b: np.exp(a * b),
    "log1p_difference": _log1p_difference,
}  # fmt: skip

INF, NAN = gmpy2.inf(), gmpy2.nan()


def _mp_log1pmx(x):
    if x == INF:
        return -INF
    if abs(x) < 2.0**-60:
        return -x * x / 2 + x * x * x / 3 - x * x * x * x / 4
    return gmpy2.log1p(x) - x


def _mp_expm1mx(x):
    if x == INF:
        return INF
    if abs(x) < 2.0**-60:
        return x * x / 2 + x * x * x / 6 + x * x * x * x / 24
    return gmpy2.expm1(x) - x


def _mp_softplus(x):
    return x + gmpy2.log1p(gmpy2.exp(-x)) if x > 0 else gmpy2.log1p(gmpy2.exp(x))


def _mp_sigmoid(x):
    if x >= 0:
        return 1 / (1 + gmpy2.exp(-x))
    e = gmpy2.exp(x)
    return e / (1 + e)


def _mp_pow(a, b):
    if a < 0 and b != 0:
        return NAN
    return abs(a) ** b


def _mp_log1p_difference(a, b):
    if a == b:
        return gmpy2.log1p(a) - gmpy2.log1p(b) if a <= -1 or a == INF else gmpy2.mpfr(0)
    with gmpy2.context(precision=2400):  # 1 + b exactly
        a, b = 1 + a, 1 + b
        far = a > 2 * b or b > 2 * a or a <= 0 or b <= 0
        x = a / b if far else (a - b) / b
    return gmpy2.log(x) if far and a > 0 and b > 0 else gmpy2.log(a) - gmpy2.log(b) if far else gmpy2.log1p(x)


def _mp_log_ratio(a, b):
    if a < 0 or b < 0:
        return NAN
    return gmpy2.log(abs(a) / abs(b))


def _mp_kl_div(a, b):
    if a < 0 or b < 0:
        return NAN
    if abs(a - b) == INF or a == 0:
        return abs(a - b)
    return a * gmpy2.log(a / abs(b)) - a + b


DOUBLE = {
    "exp": gmpy2.exp, "expm1": gmpy2.expm1, "log": gmpy2.log, "log1p": gmpy2.log1p, "tanh": gmpy2.tanh, "sqrt": gmpy2.sqrt,
    "decay": lambda x: gmpy2.exp(-abs(x)), "softplus": _mp_softplus, "sigmoid": _mp_sigmoid,
    "log1pmx": _mp_log1pmx, "expm1mx": _mp_expm1mx,
    "pow": _mp_pow, "log_ratio": _mp_log_ratio, "exp_product": lambda a, b: gmpy2.exp(a * b),
    "log1p_difference": _mp_log1p_difference, "kl_div": _mp_kl_div,
}  # fmt: skip
PRECISION = 190  # bits: more than 80 beyond what log1pmx and expm1mx (64) and kl_div (106) may lose


def unit_exponent(values):
    """The exponent of the unit in the last place of finite float64 values."""
    return np.where(values == 0.0, -1074, np.maximum(np.frexp(values)[1] - 53, -1074))


def in_double(name, *arguments):
    """(nearest, rest): the float64 nearest to the true value, and how far beyond it that is, in units of its last place."""
    if name in EXACT:
        nearest = EXACT[name](*arguments)
        return nearest, np.zeros(len(nearest))
    with gmpy2.context(precision=PRECISION):
        # subnormal bounds of MPFR's own play no part: its exponents have 30 bits
        true = list(map(DOUBLE[name], *(map(gmpy2.mpfr, argument.tolist()) for argument in arguments)))
        nearest = np.array(list(map(float, true)))
        scale = np.where(np.abs(nearest) < 2.0**-500, 2.0**600, 1.0)  # so that the rest is no subnormal
        rest = [float((t - n) * s) for t, n, s in zip(true, nearest.tolist(), scale.tolist(), strict=True)]
    finite = np.isfinite(nearest)
    nearest_finite = np.where(finite, nearest, 0.0)
    shift = -unit_exponent(nearest_finite) - np.where(scale == 1.0, 0, 600)
    return nearest, np.where(finite, np.ldexp(np.where(finite, rest, 0.0), shift), 0.0)
