"""Losses of counts and positive amounts: deviances of the Poisson, gamma and Tweedie families.

    *_deviance   the prediction is the mean mu > 0 itself (identity link); the full deviance, 0 at mu = y
    *_loss       the prediction is z = log(mu) (log link), any real number; half the deviance, by default without the terms
                 that depend on y alone

``half`` and ``constants`` choose the other conventions. All are written so that they do not cancel near mu = y, where the
textbook forms lose every digit: y log(y / mu) - y + mu >= 0 is kl_div(y, mu), psi(u) = exp(u) - 1 - u >= 0 is expm1mx(u).
"""

from fastloss.losses.functions import INF, copysign, exp, exp_product, expm1mx, kl_div, log, log1p, pow, sqrt
from fastloss.losses.spec import NONNEGATIVE, POSITIVE, REAL, Interval, Parameter, Switch, loss

HALF = Switch(False, "True: half the deviance, the negative log-likelihood up to terms of y alone")
DEVIANCE = Switch(True, "False: the whole deviance, twice as much")
CONSTANTS = Switch(False, "True: with the terms of y alone, so that the minimum, at mu = y, is 0")
POWER = Parameter(1.5, Interval(1.0, 2.0, open_low=True, open_high=True), "variance power, in (1, 2): 1 is poisson, 2 gamma", usual=1.5)


def rounded_off(a, b):
    """What the rounding of a - b took from it, exactly (Knuth's two-sum)."""
    d = a - b
    v = d - a
    return (a - (d - v)) - (b + v)


@loss(
    family="counts", target=NONNEGATIVE, prediction=POSITIVE, aliases=("mean_poisson_deviance",),
    formula="2 (y log(y / mu) - y + mu)", source="Nelder & Wedderburn 1972; sklearn.metrics.mean_poisson_deviance",
    examples=((0.0, 1.5, 3.0), (2.0, 1.0, 0.7725887222397811), (2.0, 1.0, 0.38629436111989057, {"half": True})),
)  # fmt: skip
class PoissonDeviance:
    """Deviance of counts (variance = mean) from a predicted mean."""

    half = HALF

    def value(y, mu, half):
        return (2.0 - half) * kl_div(y, mu)

    def gradient(y, mu, half):
        return (2.0 - half) * ((mu - y) / mu)

    def hessian(y, mu, half):
        scale = 18014398509481984.0 if y < 1.0 else 1.0  # 2**54: y / mu of a tiny y may have no digits left where y / mu**2 has all
        return (2.0 - half) * ((scale * y / mu) / (scale * mu))


@loss(
    family="counts", target=NONNEGATIVE, prediction=REAL, aliases=("poisson", "half_poisson", "poisson_nll", "poisson_nll_loss"), wide=True,
    formula="exp(z) - y z, with constants: + y log(y) - y", source="sklearn._loss.HalfPoissonLoss, torch.nn.PoissonNLLLoss",
    notes="The prediction is the log of the mean. XGBoost and LightGBM use other Hessians than the exact exp(z).",
    examples=((2.0, 0.0, 1.0), (2.0, 0.0, 0.38629436111989057, {"constants": True}), (0.0, 0.0, 2.0, {"half": False})),
)  # fmt: skip
class PoissonLoss:
    """Negative log-likelihood of counts from the log of their mean."""

    half = DEVIANCE
    constants = CONSTANTS

    def value(y, z, half, constants):
        # with constants: y psi(u), u = z - log y; farther off the textbook form, which there does not magnify u's rounding
        u = z - log(y)
        full = y * expm1mx(u) if abs(u) < 1.0 else exp(z) - y * (1.0 + u)
        return INF if z == INF else (2.0 - half) * ((full if constants > 0.0 else exp(z) - y * z) if y != 0.0 else exp(z))

    def gradient(y, z, half, constants):
        return (2.0 - half) * (exp(z) - y)

    def hessian(y, z, half, constants):
        return (2.0 - half) * exp(z) + 0.0 * y


@loss(
    family="counts", target=POSITIVE, prediction=POSITIVE, aliases=("mean_gamma_deviance",), wide=True,
    formula="2 (log(mu / y) + y / mu - 1)", source="Nelder & Wedderburn 1972; sklearn.metrics.mean_gamma_deviance",
    notes="LightGBM's gamma_deviance metric is the sum, not the mean.",
    examples=((2.0, 1.0, 0.6137056388801094), (1.0, 2.0, 0.38629436111989057), (1.0, 2.0, 0.19314718055994529, {"half": True})),
)  # fmt: skip
class GammaDeviance:
    """Deviance of positive amounts whose spread grows with their mean, from a predicted mean."""

    half = HALF

    def value(y, mu, half):
        # kl_div(mu, y) / mu, both first scaled by a power of two where kl_div would leave the range. A y that it would take out of there
        # stays as it is; y / mu is nothing then, and the logarithm lacks 20 log(2)
        scale = 9.5367431640625e-07 if mu > 1e300 else (1.6069380442589903e60 if mu < 1e-250 else 1.0)  # 2**-20, 2**200
        far = 13.862943611198906 if mu > 1e300 and y < 1e-290 else 0.0
        m = scale * mu
        return INF if mu == INF else (2.0 - half) * (kl_div(m, y if far > 0.0 else scale * y) / m + far)

    def gradient(y, mu, half):
        return (2.0 - half) * (((mu - y) / mu) / mu)

    def hessian(y, mu, half):
        return (2.0 - half) * (((y - mu) + y) / mu / mu / mu)


@loss(
    family="counts", target=POSITIVE, prediction=REAL, aliases=("gamma", "half_gamma", "gamma_nll"), wide=True,
    formula="z + y exp(-z), with constants: - log(y) - 1", source="sklearn._loss.HalfGammaLoss",
    notes="The prediction is the log of the mean. In float64 infinite where exp(-z) is (z < -709.78), though a y below 1 may make "
    "the product finite.",
    examples=((2.0, 0.0, 2.0), (2.0, 0.0, 0.3068528194400547, {"constants": True}), (2.0, 0.0, 4.0, {"half": False})),
)  # fmt: skip
class GammaLoss:
    """Negative log-likelihood of positive amounts from the log of their mean."""

    half = DEVIANCE
    constants = CONSTANTS

    def value(y, z, half, constants):
        # with constants: psi(u), u = log y - z; farther off the textbook form, as in poisson_loss
        u = log(y) - z
        full = expm1mx(u) if abs(u) < 1.0 else y * exp(-z) - (1.0 + u)
        return INF if z == -INF else (2.0 - half) * (full if constants > 0.0 else z + y * exp(-z))

    def gradient(y, z, half, constants):
        return (2.0 - half) * (1.0 - y * exp(-z))

    def hessian(y, z, half, constants):
        return (2.0 - half) * (y * exp(-z))


# Tweedie, 1 < power < 2. With u = log(mu / y), a = 2 - power and b = 1 - power, half the deviance is
#     y**a (expm1(a u) / a - expm1(b u) / b) = y**a (psi(a u) / a + psi(b u) / (power - 1)),
# two terms that are both positive: nothing cancels. Where a u or b u is large, psi would magnify its rounding, and
# y**a exp(a u) = mu**a, y**a exp(b u) = y mu**b are at hand without it.


def weighted(y, e):
    """y e; nothing is nothing even where the exponential e is infinite."""
    return y * e if y != 0.0 else 0.0


def scaled_psi(u, scale, grown):
    """scale psi(u), given scale exp(u) as well."""
    return scale * expm1mx(u) if abs(u) < 1.0 else (INF if grown == INF else grown - scale * (1.0 + u))


@loss(
    family="counts", target=NONNEGATIVE, prediction=POSITIVE, aliases=("mean_tweedie_deviance",), wide=True,
    formula="2 (y**(2 - power) / ((1 - power)(2 - power)) - y mu**(1 - power) / (1 - power) + mu**(2 - power) / (2 - power))",
    source="Jorgensen 1987; sklearn.metrics.mean_tweedie_deviance",
    notes="power 0 is squared_error, 1 poisson_deviance, 2 gamma_deviance. In float64, for powers other than 1.5, errors up to 7 ULP, and "
    "y / mu and mu / y must not overflow.",
    examples=((4.0, 1.0, 4.0), (0.0, 4.0, 8.0), (4.0, 1.0, 2.0, {"half": True})),
)  # fmt: skip
class TweedieDeviance:
    """Deviance of amounts that are often exactly 0 (rain, insurance claims), from a predicted mean."""

    power = POWER
    half = HALF

    def value(y, mu, power, half):
        a = 2.0 - power
        b = 1.0 - power
        u = copysign(min(log1p(abs(mu - y) / min(mu, y)), 1490.0), mu - y)  # log(mu / y); no two doubles' ratio has a larger one
        y_a = pow(y, a)
        mu_a = pow(mu, a)
        some = scaled_psi(a * u, y_a, mu_a) / a - scaled_psi(b * u, y_a, mu_a * (y / mu)) / b
        # power 1.5: 2 e**2 / (sqrt(mu) d) with d = (sqrt(mu) + sqrt(y))**2; what rounding took from e and d is put back (two-sums)
        root = sqrt(mu)
        e = mu - y
        both = max(mu, y) + min(mu, y)
        cross = 2.0 * root * sqrt(y)
        d = both + cross
        d_lost = (min(mu, y) - (both - max(mu, y))) + (cross - (d - both))
        t = e / d
        between = 2.0 * (t / root) * (e + (2.0 * rounded_off(mu, y) - t * d_lost)) if power == 1.5 else (some if y != 0.0 else mu_a / a)
        return INF if mu == INF else (2.0 - half) * between

    def gradient(y, mu, power, half):
        root = 1.0 / sqrt(mu) if power == 1.5 else pow(mu, 1.0 - power)
        return (2.0 - half) * (root * ((mu - y) / mu))

    def hessian(y, mu, power, half):
        root = 1.0 / (mu * sqrt(mu)) if power == 1.5 else pow(mu, -power)
        return (2.0 - half) * (root * (power * (y / mu) - (power - 1.0)))


@loss(
    family="counts", target=NONNEGATIVE, prediction=REAL, aliases=("tweedie", "half_tweedie"), wide=True,
    formula="exp((2 - power) z) / (2 - power) - y exp((1 - power) z) / (1 - power), "
    "with constants: + y**(2 - power) / ((1 - power)(2 - power))",
    source="sklearn._loss.HalfTweedieLoss; XGBoost reg:tweedie",
    notes="The prediction is the log of the mean. In float64 infinite where exp((1 - power) z) is (power 1.5: z < -1419.56), though a y "
    "below 1 may make the product finite.",
    examples=((4.0, 0.0, 10.0), (4.0, 0.0, 2.0, {"constants": True}), (0.0, 0.0, 2.0)),
)  # fmt: skip
class TweedieLoss:
    """Negative log-likelihood (up to terms of y alone) of amounts that are often exactly 0, from the log of their mean."""

    power = POWER
    half = DEVIANCE
    constants = CONSTANTS

    def value(y, z, power, half, constants):
        a = 2.0 - power
        b = 1.0 - power
        u = z - log(y)
        y_a = pow(y, a)
        mu_a = exp_product(a, z)
        mu_b = weighted(y, exp_product(b, z))
        full = scaled_psi(a * u, y_a, mu_a) / a - scaled_psi(b * u, y_a, mu_b) / b
        return (2.0 - half) * (full if constants > 0.0 and y != 0.0 else mu_a / a - mu_b / b)

    def gradient(y, z, power, half, constants):
        return (2.0 - half) * (exp_product(2.0 - power, z) - weighted(y, exp_product(1.0 - power, z)))

    def hessian(y, z, power, half, constants):
        return (2.0 - half) * ((2.0 - power) * exp_product(2.0 - power, z) + (power - 1.0) * weighted(y, exp_product(1.0 - power, z)))
