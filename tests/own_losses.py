"""Losses of a user's own, for the tests: twins of built-in ones under other names. Other processes import it, too."""
# ruff: noqa: N805, F821 - formulas are no methods, and their vocabulary needs no import

import atexit
import os
import shutil
import tempfile

FOLDER = os.environ.get("FASTLOSS_CACHE_DIR")
if FOLDER is None:  # not into the user's own
    FOLDER = os.environ["FASTLOSS_CACHE_DIR"] = tempfile.mkdtemp(prefix="fastloss-tests-")
    atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)

import fastloss as fl  # noqa: E402
from fastloss.losses import REGISTRY  # noqa: E402
from fastloss.losses.spec import Parameter  # noqa: E402

PARTS = ("value", "gradient", "hessian")


def twin(name, parts=PARTS, prefix="Twin"):
    """An own loss of a built-in one's formulas; of its value alone, with parts=("value",)."""
    of = REGISTRY[name]
    space = {key: value for key, value in vars(of.body).items() if isinstance(value, Parameter) or key in parts}
    body = type(prefix + of.class_name, (), space | {"__module__": __name__, "__qualname__": prefix + of.class_name})
    return fl.loss(target=of.target, prediction=of.prediction, wide=of.wide)(body)


def half(e):
    return 0.5 * e


@fl.loss(aliases=("lorentzian",), formula="log(1 + e**2 / scale**2)", examples=((0.0, 1.0, 0.6931471805599453),))
class Cauchy:
    """Grows like a logarithm: outliers hardly count."""

    scale = fl.Parameter(1.0, fl.POSITIVE, "where it begins to flatten")

    def value(y, p, scale):
        u = (p - y) / scale
        return log1p(u * u)


@fl.loss
def own_huber(y, p, delta=1.0):
    """Huber's, as a plain function."""
    a = abs(p - y)
    q = min(a, delta)
    return q * (a - half(q))
