"""Losses of a real prediction against a real target. In every formula e = p - y."""

from fastloss.losses.functions import copysign, exp, expm1, log1p_difference, log1pmx, pow, softplus, sqrt
from fastloss.losses.spec import ABOVE_MINUS_ONE, INF, NONNEGATIVE, NOTHING, POSITIVE, REAL, UNIT, Interval, Parameter, loss, root_of


@loss(
    family="regression", target=REAL, prediction=REAL, aliases=("mse", "mean_squared_error", "l2"),
    formula="e**2", source="Gauss 1809; sklearn.metrics.mean_squared_error, torch.nn.MSELoss",
    examples=((1.0, 3.0, 4.0), (-0.5, 0.25, 0.5625)),
)  # fmt: skip
class SquaredError:
    """The square of the error; its minimiser is the mean. Without the factor 1/2: see half_squared_error."""

    def value(y, p):
        e = p - y
        return e * e

    def gradient(y, p):
        return 2.0 * (p - y)

    def hessian(y, p):
        return 2.0


@loss(
    family="regression", target=REAL, prediction=REAL, aliases=("half_mse", "l2_loss"),
    formula="e**2 / 2", source="sklearn._loss.HalfSquaredError, optax.l2_loss",
    examples=((1.0, 3.0, 2.0),),
)  # fmt: skip
class HalfSquaredError:
    """Half the square of the error, so that the gradient is the error itself."""

    def value(y, p):
        e = p - y
        return 0.5 * e * e

    def gradient(y, p):
        return p - y

    def hessian(y, p):
        return 1.0


@root_of(
    "squared_error", aliases=("rmse",), formula="sqrt(sum(w e**2) / sum(w))",
    source="sklearn.metrics.root_mean_squared_error", examples=((1.0, 3.0, 2.0),),
)  # fmt: skip
class RootMeanSquaredError:
    """The square root of the mean squared error, in the target's own unit. A cost only: it is not a mean of per-sample losses."""


@loss(
    family="regression", target=REAL, prediction=REAL, aliases=("mae", "mean_absolute_error", "l1", "l1_loss"),
    formula="|e|", source="Laplace 1774; sklearn.metrics.mean_absolute_error, torch.nn.L1Loss",
    notes="At e = 0 the gradient is 0, as in LightGBM and torch; sklearn._loss takes -1 there.",
    examples=((1.0, 3.0, 2.0), (2.5, -1.0, 3.5)),
)  # fmt: skip
class AbsoluteError:
    """The size of the error; its minimiser is the median."""

    def value(y, p):
        return abs(p - y)

    def gradient(y, p):
        e = p - y
        return 1.0 if e > 0.0 else (-1.0 if e < 0.0 else e)

    def hessian(y, p):
        return 0.0


@loss(
    family="regression", target=REAL, prediction=REAL, aliases=("huber_loss",),
    formula="e**2 / 2 if |e| <= delta else delta (|e| - delta / 2)", source="Huber 1964; torch.nn.HuberLoss",
    notes="The Hessian beyond delta is 0, the exact value; LightGBM uses 1 everywhere.",
    examples=((0.0, 0.5, 0.125), (0.0, -3.0, 2.5), (0.0, 3.0, 4.0, {"delta": 2.0})),
)  # fmt: skip
class Huber:
    """Quadratic within ``delta`` of the target, linear beyond: squared error for inliers, absolute error for outliers."""

    delta = Parameter(1.0, POSITIVE, "where the quadratic part ends")

    def value(y, p, delta):
        a = abs(p - y)
        q = min(a, delta)  # one branch-free form of both cases
        return q * (a - 0.5 * q)

    def gradient(y, p, delta):
        return max(min(p - y, delta), -delta)  # in this order a NaN survives

    def hessian(y, p, delta):
        return 1.0 if abs(p - y) <= delta else 0.0


@loss(
    family="regression", target=REAL, prediction=REAL, aliases=("smooth_l1_loss",),
    formula="e**2 / (2 beta) if |e| < beta else |e| - beta / 2", source="Girshick 2015; torch.nn.SmoothL1Loss",
    notes="smooth_l1(beta) = huber(delta=beta) / beta; beta = 0 is the absolute error.",
    examples=((0.0, 0.5, 0.125), (0.0, 3.0, 2.0, {"beta": 2.0}), (0.0, 3.0, 3.0, {"beta": 0.0})),
)  # fmt: skip
class SmoothL1:
    """Absolute error with its kink rounded off within ``beta`` of the target."""

    beta = Parameter(1.0, NONNEGATIVE, "width of the rounded part")

    def value(y, p, beta):
        a = abs(p - y)
        slope = a / beta if a < beta else 1.0
        return slope * (a - 0.5 * min(a, beta))

    def gradient(y, p, beta):
        e = p - y
        return e / beta if abs(e) < beta else (1.0 if e > 0.0 else (-1.0 if e < 0.0 else e))

    def hessian(y, p, beta):
        return 1.0 / beta if abs(p - y) < beta else 0.0


@loss(
    family="regression", target=REAL, prediction=REAL, aliases=("pseudo_huber_loss", "charbonnier", "mphe"),
    formula="delta**2 (sqrt(1 + (e / delta)**2) - 1)", source="Charbonnier 1994; XGBoost reg:pseudohubererror (huber_slope)",
    examples=((0.0, 3.0, 4.0, {"delta": 4.0}),),
)  # fmt: skip
class PseudoHuber:
    """A smooth Huber loss: about e**2 / 2 near the target, of slope ``delta`` far away."""

    delta = Parameter(1.0, POSITIVE, "slope of the linear part", usual=1.0)

    def value(y, p, delta):
        # sqrt(1 + a*a) - 1 loses all digits for small a; with s = sqrt(1 + a*a), the loss is e*e / (1 + s), which loses none. Where
        # the quadratic or the linear part is most of it, that is exact but for e's rounding and the small rest is taken off:
        # (s - 1) / (s + 1) = (a / (1 + s))**2 of e*e / 2, and from delta |e|, by s - a = 1 / (s + a).
        e = abs(p - y)
        a = e / delta
        s = sqrt(1.0 + a * a) if a < 1e8 else a
        w = (1.0 if a > 3.0 else (a if a < 1.25 else e)) / (s + (a if a > 3.0 else 1.0))
        half = 0.5 * e * e
        return half - half * (w * w) if a < 1.25 else (delta * (e - delta * (1.0 - w)) if a > 3.0 else e * w)

    def gradient(y, p, delta):
        e = p - y
        a = abs(e) / delta
        s = sqrt(1.0 + a * a) if a < 1e8 else a
        return copysign(delta, e) if a == INF else e / s

    def hessian(y, p, delta):
        a = abs(p - y) / delta
        t = 1.0 / (sqrt(1.0 + a * a) if a < 1e8 else a)
        return t * t * t


def log_cosh_series(z):
    """(e**2 / 2 - log(cosh(e))) / e**4 = 1/12 - z/45 + ..., z = e**2 <= 9/16; minimax, its error 2^-58.7 of the loss."""
    square = z * z
    even = -1.7289759772219963e-07 * square - 3.961538842221179e-06
    even = even * square - 3.268449601675307e-05
    even = even * square - 0.00025657590111453546
    even = even * square - 0.002186948808024431
    even = even * square - 0.022222222222172936
    odd = 1.0932354729919968e-06 * square + 1.1710009114131162e-05
    odd = odd * square + 9.096428353012218e-05
    odd = odd * square + 0.0007386023834517921
    odd = odd * square + 0.0067460317439167776
    odd = odd * square + 0.08333333333333293
    return even * z + odd


@loss(
    family="regression", target=REAL, prediction=REAL, aliases=("logcosh", "log_cosh_error"),
    formula="log(cosh(e))", source="Green 1990; keras.losses.LogCosh",
    examples=((0.0, 1.0, 0.4337808304830272),),
)  # fmt: skip
class LogCosh:
    """About e**2 / 2 near the target and |e| - log 2 far away."""

    def value(y, p):
        # |e| - log 2 + log1p(exp(-2 |e|)); near 0, where that cancels, a series in e**2, of which half is exact but for e's own rounding
        a = abs(p - y)
        z = a * a
        return 0.5 * z - z * (z * log_cosh_series(z)) if a < 0.75 else (a - 0.6931471805599453) + softplus(-2.0 * a)

    def gradient(y, p):
        e = p - y
        m = expm1(-2.0 * abs(e))
        return copysign(m / (2.0 + m), e)

    def hessian(y, p):
        # exp magnifies the rounding of p - y by 2 |p - y|, so what it rounded off is put back (Knuth's two-sum)
        e = p - y
        b = e - p
        lost = (p - (e - b)) - (y + b)
        u = exp(-2.0 * abs(e)) * (1.0 - 2.0 * (lost if e > 0.0 else -lost))
        return 4.0 * u / ((1.0 + u) * (1.0 + u))


@loss(
    family="regression", target=REAL, prediction=REAL, aliases=("quantile", "pinball_loss", "mean_pinball_loss", "quantile_loss"),
    formula="quantile (y - p) if y >= p else (1 - quantile)(p - y)", source="Koenker & Bassett 1978; sklearn.metrics.mean_pinball_loss",
    notes="At y = p the gradient is -quantile, as in sklearn; LightGBM takes 1 - quantile.",
    examples=((3.0, 1.0, 1.0), (3.0, 1.0, 1.5, {"quantile": 0.75}), (1.0, 3.0, 0.5, {"quantile": 0.75})),
)  # fmt: skip
class Pinball:
    """Errors below and above the target weighed differently; its minimiser is the ``quantile`` of the target."""

    quantile = Parameter(0.5, UNIT, "which quantile is predicted")

    def value(y, p, quantile):
        d = y - p
        return (quantile if d >= 0.0 else quantile - 1.0) * d

    def gradient(y, p, quantile):
        return -quantile if y >= p else (1.0 - quantile if y < p else y - p)

    def hessian(y, p, quantile):
        return 0.0


@loss(
    family="regression", target=REAL, prediction=REAL, aliases=("expectile_loss", "asymmetric_squared_error"),
    formula="(alpha if y >= p else 1 - alpha) e**2", source="Newey & Powell 1987; CatBoost Expectile",
    examples=((3.0, 1.0, 2.0), (3.0, 1.0, 3.0, {"alpha": 0.75}), (1.0, 3.0, 1.0, {"alpha": 0.75})),
)  # fmt: skip
class Expectile:
    """Squared error weighed by its sign; its minimiser is the ``alpha`` expectile of the target."""

    alpha = Parameter(0.5, UNIT, "which expectile is predicted")

    def value(y, p, alpha):
        e = p - y
        return (1.0 - alpha if e > 0.0 else alpha) * e * e

    def gradient(y, p, alpha):
        e = p - y
        return 2.0 * (1.0 - alpha if e > 0.0 else alpha) * e

    def hessian(y, p, alpha):
        return 2.0 * (1.0 - alpha if p > y else alpha)


@loss(
    family="regression", target=REAL, prediction=REAL, aliases=("fair_loss",),
    formula="c**2 (|e| / c - log(1 + |e| / c))", source="Fair 1974; LightGBM fair (fair_c)",
    examples=((0.0, 1.0, 0.3068528194400547),),
)  # fmt: skip
class Fair:
    """Between squared and absolute error, with a smooth second derivative; less swayed by outliers than Huber's."""

    c = Parameter(1.0, Interval(1e-15, 1e15), "scale of the quadratic part", usual=1.0)  # beyond, float32 has no room for its square

    def value(y, p, c):
        # at its ends, where e / c or its square may leave the range, the loss is e**2 / 2 or c |e|; c = 1 needs no such care
        e = abs(p - y)
        x = e / c
        l = -log1pmx(x)  # noqa: E741
        return l if c == 1.0 else (0.5 * e * e if x < 1e-17 else (c * e if x > 1e20 else c * c * l))

    def gradient(y, p, c):
        e = p - y
        x = abs(e) / c
        return copysign(c, e) if x == INF else e / (1.0 + x)

    def hessian(y, p, c):
        t = c / (abs(p - y) + c)
        return t * t


@loss(
    family="regression", target=REAL, prediction=REAL, aliases=("l_q", "lp_loss"), wide=True,
    formula="|e|**q", source="CatBoost Lq",
    notes="For q < 2 the Hessian is infinite at e = 0. In float64 a q above 4 magnifies the rounding of p - y: errors up to about q ULP.",
    examples=((0.0, -2.0, 8.0, {"q": 3.0}), (0.0, 3.0, 9.0)),
)  # fmt: skip
class Lq:
    """A power of the error's size: 1 is the absolute, 2 the squared error."""

    q = Parameter(2.0, Interval(1.0, INF, open_high=True), "the exponent")

    def value(y, p, q):
        return pow(abs(p - y), q)

    def gradient(y, p, q):
        e = p - y
        return q * pow(abs(e), q - 1.0) * (1.0 if e > 0.0 else (-1.0 if e < 0.0 else e))

    def hessian(y, p, q):
        return q * (q - 1.0) * pow(abs(p - y), q - 2.0) if q > 1.0 else 0.0


@loss(
    family="regression", target=ABOVE_MINUS_ONE, prediction=ABOVE_MINUS_ONE, aliases=("msle", "mean_squared_log_error"),
    formula="(log(1 + p) - log(1 + y))**2", source="sklearn.metrics.mean_squared_log_error",
    examples=((0.0, 1.0, 0.4804530139182014),),
)  # fmt: skip
class SquaredLogError:
    """Squared error of log(1 + x): the error of the ratio, for targets that spread over magnitudes."""

    def value(y, p):
        r = log1p_difference(p, y)
        return r * r

    def gradient(y, p):
        return 0.0 if p == INF else 2.0 * (log1p_difference(p, y) / (1.0 + p))

    def hessian(y, p):
        return 2.0 * (1.0 - log1p_difference(p, y)) / ((1.0 + p) * (1.0 + p))


@root_of(
    "squared_log_error", aliases=("rmsle",), formula="sqrt(sum(w (log(1 + p) - log(1 + y))**2) / sum(w))",
    source="sklearn.metrics.root_mean_squared_log_error", examples=((0.0, 1.0, 0.6931471805599453),),
)  # fmt: skip
class RootMeanSquaredLogError:
    """The square root of the mean squared logarithmic error. A cost only: it is not a mean of per-sample losses."""


PERCENT = {True: 100.0, False: 1.0}


@loss(
    family="regression", target=REAL, prediction=REAL, aliases=("mape", "mean_absolute_percentage_error"),
    formula="scale |e| / max(|y|, floor)", source="sklearn.metrics.mean_absolute_percentage_error",
    notes="floor: what libraries disagree on. 'raw' (0; XGBoost) is infinite at y = 0; 'sklearn' 2**-52; 'keras' 1e-7; 'lightgbm' and "
    "'catboost' 1. Keras also multiplies by 100: percent=True.",
    examples=((2.0, 3.0, 0.5), (0.5, 1.0, 0.5, {"floor": "lightgbm"}), (2.0, 3.0, 50.0, {"percent": True})),
)  # fmt: skip
class AbsolutePercentageError:
    """The error relative to the target, a fraction (or ``percent``)."""

    floor = Parameter(
        "sklearn", NONNEGATIVE, "the least the denominator may be",
        names={"raw": 0.0, "sklearn": 2.0**-52, "keras": 1e-7, "lightgbm": 1.0, "catboost": 1.0},
    )  # fmt: skip
    percent = Parameter(False, NOTHING, "True: multiplied by 100", names=PERCENT)

    def value(y, p, floor, percent):
        return percent * (abs(p - y) / max(abs(y), floor))

    def gradient(y, p, floor, percent):
        e = p - y
        return percent * (1.0 if e > 0.0 else (-1.0 if e < 0.0 else e)) / max(abs(y), floor)

    def hessian(y, p, floor, percent):
        return 0.0


@loss(
    family="regression", target=REAL, prediction=REAL, aliases=("smape", "symmetric_mape", "symmetric_mean_absolute_percentage_error"),
    formula="scale 2 |e| / (|y| + |p|), and 0 where both are 0", source="Makridakis 1993; torchmetrics; CatBoost SMAPE (in percent)",
    notes="Wrong where |y| + |p| overflows.",
    examples=((1.0, 3.0, 1.0), (0.0, 0.0, 0.0), (1.0, 3.0, 100.0, {"percent": True})),
)  # fmt: skip
class SymmetricAbsolutePercentageError:
    """The error relative to the mean size of target and prediction: from 0 to 2 (or 200 ``percent``)."""

    percent = Parameter(False, NOTHING, "True: multiplied by 100", names=PERCENT)

    def value(y, p, percent):
        s = abs(y) + abs(p)
        a = abs(p - y)
        return percent * (2.0 * (1.0 if a == INF else a / s)) if s != 0.0 else 0.0

    def gradient(y, p, percent):
        # where y and p have opposite signs the loss is constant; else 4 |y| / s**2, with the sign of the error
        s = abs(y) + abs(p)
        a = abs(y)
        scale = 4.0 * percent  # applied to the smaller one, so that neither is lost
        slope = (scale * a if a < 1.0 else a) / s / s * (1.0 if a < 1.0 else scale) if s != 0.0 else 0.0
        return (copysign(slope, p - y) if p != y else 0.0) if copysign(1.0, p) * y > 0.0 else s - s

    def hessian(y, p, percent):
        s = abs(y) + abs(p)
        curve = 8.0 * percent * abs(y) / s / s / s if s != 0.0 else 0.0
        return (-copysign(curve, p - y) * copysign(1.0, p) if p != y else 0.0) if copysign(1.0, p) * y > 0.0 else 0.0
