"""Looks for the worst corners of a loss among very many ordinary pairs, where tests/accuracy.py tests few and the extremes.

The formulas run once more over whole arrays in long double, which tells where the kernels err most; how much they err there is then
said by the references in mpmath. Where long double is no wider than double (Windows, Apple's processors) the first step is blind for
float64, and what is found is less.
"""

import ast
import copy
import functools

import numpy as np

import fastloss as fl
from fastloss.compiler.subset import BUILTINS, formulas
from fastloss.losses import REGISTRY
from fastloss.losses.spec import Labels
from tests import accuracy
from tests.references import TERMS

LONG = np.longdouble
SAMPLES, CONFIRMED = 2**19, 24
PARTS = ("value", "gradient")


def _series(x, far, low, terms, coefficient):
    """far(x); where |x| < low, x**2 times a power series."""
    near, power = np.zeros_like(x), np.ones_like(x)
    with np.errstate(all="ignore"):
        for k in range(2, terms):
            near = near + power * coefficient(k)
            power = power * x
        return np.where(np.abs(x) < low, x * x * near, far(x))


def _inverse_factorial(k):
    return LONG(1) / functools.reduce(lambda a, b: a * b, map(LONG, range(1, k + 1)))


def _decay(x):
    return np.exp(-np.abs(x))


def _log1pmx(x):
    return _series(x, lambda x: np.log1p(x) - x, 0.1, 24, lambda k: LONG((-1) ** (k + 1)) / k)


def _kl_div(a, b):
    x = (b - a) / a
    return np.where(a == 0, b, np.where(np.abs(x) < 0.5, -a * _log1pmx(x), a * np.log(a / b) - (a - b)))


def _log1p_difference(a, b):
    return np.copysign(np.log1p(np.abs(a - b) / (1 + np.minimum(a, b))), a - b)


WIDE = {
    "absolute": np.abs, "minimum": lambda a, b: np.where(b < a, b, a), "maximum": lambda a, b: np.where(b > a, b, a),
    "copysign": np.copysign, "sqrt": np.sqrt, "exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "tanh": np.tanh,
    "decay": _decay, "softplus": lambda x: np.maximum(x, 0) + np.log1p(_decay(x)),
    "sigmoid": lambda x: np.where(x >= 0, 1, _decay(x)) / (1 + _decay(x)),
    "pow": np.power, "exp_product": lambda a, b: np.exp(a * b), "log1p_difference": _log1p_difference,
    "log_ratio": lambda a, b: np.where((a < 2 * b) & (b < 2 * a), np.log1p((a - b) / b), np.log(a / b)),
    "log1pmx": _log1pmx, "kl_div": _kl_div,
    "expm1mx": lambda x: _series(x, lambda x: np.expm1(x) - x, 0.5, 24, _inverse_factorial),
    "INF": LONG(np.inf), "_where": np.where, "_and": np.logical_and, "_or": np.logical_or,
}  # fmt: skip


class Arrays(ast.NodeTransformer):
    """A formula of numbers made one of arrays: choices become np.where, literals long doubles."""

    def visit_IfExp(self, node):  # noqa: N802 - ast's own naming
        self.generic_visit(node)
        return _call("_where", node.test, node.body, node.orelse)

    def visit_BoolOp(self, node):  # noqa: N802
        self.generic_visit(node)
        name = "_and" if isinstance(node.op, ast.And) else "_or"
        return functools.reduce(lambda a, b: _call(name, a, b), node.values)

    def visit_Call(self, node):  # noqa: N802
        self.generic_visit(node)
        node.func.id = BUILTINS.get(node.func.id, node.func.id)
        return node


def _call(name, *arguments):
    return ast.Call(ast.Name(name, ast.Load()), list(arguments), [])


def over_arrays(formula):
    """The formula as a function of arrays of long doubles."""
    space = WIDE | {name: over_arrays(helper) for name, helper in formula.helpers.items()}
    tree = Arrays().visit(copy.deepcopy(formula.tree))
    tree.decorator_list = []
    exec(compile(ast.fix_missing_locations(ast.Module([tree], [])), formula.file, "exec"), space)
    return space[formula.name]


def ordinary(definition, dtype, n, seed):
    """About n pairs of the loss's domain: those of accuracy.pairs, and the distributions that data has."""
    y, p = accuracy.pairs(definition, dtype, n=n // 6, seed=seed)
    target = definition.target
    if isinstance(target, Labels) or target.high == 1.0 or (target.low == 0.0 and definition.prediction.low == -np.inf):
        return y, p
    rng = np.random.default_rng(seed)
    draw = rng.standard_normal if target.low == -np.inf else rng.standard_exponential
    scale = 10.0 ** rng.uniform(-2, 1, n // 3)
    a, b, c, d = draw(n // 6), draw(n // 6), draw(n // 3) * scale, draw(n // 3) * scale
    return tuple(np.concatenate(parts).astype(dtype) for parts in ((y, a, c), (p, b, d)))


def in_long(loss, dtype, part, y, p):
    """The formula of a part in long double."""
    numbers = [LONG(float(number)) for number in accuracy.numbers(loss, dtype)]
    with np.errstate(all="ignore"):
        return over_arrays(formulas(loss.definition)[part])(y.astype(LONG), p.astype(LONG), *numbers)


def in_ulp(got, true, dtype):
    """Differences in units of the last place of the true result; 0 where one is NaN, or the true one infinite in the dtype."""
    info = np.finfo(dtype)
    with np.errstate(all="ignore"):
        exponent = np.maximum(np.frexp(true)[1] - info.nmant - 1, info.minexp - info.nmant)
        size = np.abs(got.astype(LONG) - true) / np.ldexp(LONG(1), exponent)
        return np.where(np.isnan(size) | (np.abs(true) > LONG(info.max)), 0, size)


def search(loss, dtype, n=SAMPLES, seed=1):
    """{"value": (ULP, y, p), "gradient": (ULP, y, p)}: the worst of about n ordinary pairs."""
    name = loss.definition.name
    y, p = ordinary(loss.definition, dtype, n, seed)
    got = dict(zip(PARTS, loss.loss_gradient(y, p), strict=True))
    found = {}
    for part in PARTS:
        if part in TERMS.get(name, {}) and (dtype == "float64" or not loss.definition.wide):
            # the promise is about a term larger than the result, which only the references know
            suspects = np.random.default_rng(seed).choice(len(y), 40 * CONFIRMED)
        else:
            suspects = np.argsort(in_ulp(got[part], in_long(loss, dtype, part, y, p), dtype))[-CONFIRMED:]
        confirmed = [row for row in accuracy.errors(loss, dtype, y[suspects], p[suspects], parts=(part,)) if row[0] == part]
        found[part] = max((row[1:4] for row in confirmed), default=(0.0, None, None))
    return found


@functools.cache
def measured(name, dtype):
    """{"value": ULP, "gradient": ULP, "hessian": ULP} for the tables of README: the largest of tests/accuracy.py's, and of a search with
    the default parameters."""
    found = accuracy.measured(name, dtype)
    return found | {part: max(found[part], size) for part, (size, *_) in search(fl.get(name), dtype).items()}


if __name__ == "__main__":
    import sys

    for name in sys.argv[1:] or [name for name, definition in REGISTRY.items() if not definition.root]:
        for dtype in ("float32", "float64"):
            for part, (size, y, p) in search(fl.get(name), dtype).items():
                print(f"{name} {dtype} {part}: {size:.2f} ULP at y={y!r}, p={p!r}", flush=True)
