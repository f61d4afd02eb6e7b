"""Derivatives of own losses: derived ones are right and stable, wrong ones are refused, and what else is refused says where."""
# ruff: noqa: N805, F821 - formulas are no methods, and their vocabulary needs no import

import inspect
import math

import numpy as np
import pytest

import fastloss as fl
from fastloss.compiler.derive import derivative
from fastloss.compiler.python import executable
from fastloss.compiler.subset import Formula
from fastloss.losses import REGISTRY
from fastloss.losses.spec import OWN
from tests.own_losses import twin
from tests.test_own_losses import beyond

# Built-in losses whose value alone is enough for what they promise. The others' formulas of the value are made so that it does not cancel;
# what follows from them for derivatives does: near y = p of log_loss, of gamma_deviance's quotient, for fair and log_cosh far out in the
# Hessian.
DERIVED = [
    "logistic", "exponential", "soft_margin", "hinge", "squared_hinge", "brier", "focal", "focal_probability", "poisson_deviance",
    "poisson_loss", "tweedie_loss", "squared_error", "absolute_error", "huber", "smooth_l1", "pseudo_huber", "log_cosh",
    "pinball", "expectile", "fair", "lq", "squared_log_error", "absolute_percentage_error",
]  # fmt: skip
LIMITS = {"value": 4, "gradient": 4, "hessian": 8}
LOOSE = {"log_cosh": 64, "fair": math.inf}


@pytest.mark.parametrize("name", DERIVED)
def test_derived_derivatives_keep_the_promise(name):
    own = twin(name, ("value",), prefix="Derived")()
    for dtype in ("float32", "float64"):
        assert not beyond(own, name, dtype, LIMITS | {"hessian": LOOSE.get(name, 8)})


@pytest.mark.parametrize("name", [name for name, definition in REGISTRY.items() if not definition.root])
def test_the_check_lets_right_derivatives_through(name):
    assert twin(name, prefix="Checked").definition.derived == ()


def test_what_is_derived_reads_well():
    def text(name, part):
        return twin(name, ("value",), prefix="Read").definition.texts[part].text.splitlines()[-1].strip()

    assert text("huber", "gradient") == "return (delta * sign(u) if delta < a else u) if y == y and p == p else y + p"
    assert text("huber", "hessian") == "return 0.0 if delta < a else 1.0"
    assert text("squared_error", "gradient") == "return 2.0 * e" and text("squared_error", "hessian") == "return 2.0"
    assert text("absolute_error", "gradient") == "return sign(u)" and text("absolute_error", "hessian") == "return 0.0"
    assert "softplus" not in text("soft_margin", "gradient") and "sigmoid" in text("soft_margin", "gradient")


def test_a_nan_survives():
    for name in ("huber", "hinge", "absolute_error"):
        own = twin(name, ("value",), prefix="Nan")()
        assert np.isnan(own.gradient(1.0, np.nan)) and np.isnan(own.gradient(np.ones(9), np.full(9, np.nan))).all()


def test_slopes_of_kl_div_where_its_arguments_vanish():
    """Of a share of nothing that is expected to the last digit, and of rates beyond all numbers."""

    @fl.loss(target=fl.UNIT)
    def binary_kl(y, p):
        return kl_div(y, sigmoid(p)) + kl_div(1.0 - y, sigmoid(-p))

    @fl.loss(target=fl.NONNEGATIVE)
    def kl_of_log(y, p):
        return kl_div(y, exp(p))

    @fl.loss(target=fl.NONNEGATIVE, prediction=fl.NONNEGATIVE)
    def plain_kl(y, p):
        return kl_div(y, p)

    y, z = np.array([0.0, 1.0, 0.0, 1.0]), np.array([-1e3, 1e3, -50.0, 50.0])
    for dtype in ("float32", "float64"):
        _, gradient, hessian = binary_kl().loss_gradient_hessian(y.astype(dtype), z.astype(dtype))
        rest = np.exp(-50.0)
        np.testing.assert_allclose(gradient, [0.0, 0.0, rest, -rest], rtol=1e-6)
        np.testing.assert_allclose(hessian, [0.0, 0.0, rest, rest], rtol=1e-6)
        _, gradient, _ = kl_of_log().loss_gradient_hessian(np.array([0.0, 3.0], dtype), np.array([-1e3, 1e3], dtype))
        assert gradient.tolist() == [0.0, np.inf]
        _, gradient, hessian = plain_kl().loss_gradient_hessian(*np.array([[0, 0], [0, 2], [2, np.inf], [np.nan, 1], [0, np.nan]], dtype).T)
        np.testing.assert_array_equal(gradient, [1.0, 1.0, 1.0, np.nan, np.nan])
        np.testing.assert_array_equal(hessian, [0.0, 0.0, 0.0, np.nan, np.nan])


SYMPY = {  # formulas, and what they say in SymPy's words
    "exp(p) - y * p": "exp(p) - y * p",
    "log1p((p - y) * (p - y) / 3.0)": "log(1 + (p - y)**2 / 3)",
    "sqrt(1.0 + (p - y) * (p - y)) / (2.0 + p * p)": "sqrt(1 + (p - y)**2) / (2 + p**2)",
    "tanh(p * y) * sigmoid(p - y)": "tanh(p * y) / (1 + exp(y - p))",
    "softplus(2.0 * p) * expm1(-p * p)": "log(1 + exp(2 * p)) * (exp(-p**2) - 1)",
    "pow(2.0 + p * p, 1.5) - pow(3.0, p)": "(2 + p**2)**Rational(3, 2) - 3**p",
    "log(2.0 + sigmoid(p)) * decay(p - 9.0)": "log(2 + 1 / (1 + exp(-p))) * exp(p - 9)",
    "log1pmx(p * p) + expm1mx(p / 4.0)": "log(1 + p**2) - p**2 + exp(p / 4) - 1 - p / 4",
    "log_ratio(2.0 + p * p, 1.0 + y * y) + exp_product(p, y)": "log((2 + p**2) / (1 + y**2)) + exp(p * y)",
    "kl_div(2.0 + p * p, 1.0 + y * y + p)": "(2 + p**2) * log((2 + p**2) / (1 + y**2 + p)) - (2 + p**2) + 1 + y**2 + p",
    "log1p_difference(p * p, 0.5 * p * p) / (p - 30.0)": "log((1 + p**2) / (1 + p**2 / 2)) / (p - 30)",
    "copysign(p, y) * p": "p**2",
}


@pytest.mark.parametrize("formula", SYMPY)
def test_derivatives_are_those_of_sympy(formula, tmp_path):
    sympy = pytest.importorskip("sympy")
    y, p = sympy.symbols("y p")
    file = tmp_path / "formula.py"
    file.write_text(f"def value(y, p):\n    return {formula}\n")
    space = {}
    exec(compile(file.read_text(), str(file), "exec"), space)
    value = Formula(space["value"])
    gradient = Formula(derivative(value, "gradient"))
    hessian = Formula(derivative(gradient, "hessian"))
    expected = sympy.sympify(SYMPY[formula], {"y": y, "p": p})
    for one, order in ((gradient, 1), (hessian, 2)):
        function, true = executable(one), sympy.diff(expected, p, order)
        for at in ((0.7, 1.3), (1.9, 0.4), (0.2, 2.6)):
            wanted = true.evalf(50, subs={y: sympy.Float(at[0], 50), p: sympy.Float(at[1], 50)})
            assert function(*at) == pytest.approx(float(wanted), rel=2e-14)


def line_of(text):
    """Of this file, the line that has a text, the last one."""
    lines = inspect.getsource(inspect.getmodule(line_of)).splitlines()
    return max(number for number, line in enumerate(lines, 1) if text in line and "line_of" not in line)


def refused(define):
    names = set(OWN)
    with pytest.raises(fl.FormulaError) as caught:
        define()
    assert set(OWN) == names  # nothing is left of it
    return str(caught.value)


def test_broken_derivatives_are_refused_with_the_place():
    def gradient():
        @fl.loss
        class Broken1:
            delta = fl.Parameter(1.0, fl.POSITIVE)

            def value(y, p, delta):
                return delta * (p - y) * (p - y)

            def gradient(y, p, delta):  # broken gradient
                return 2.0 * (p - y)

    said = refused(gradient)
    assert said.startswith(
        f"{__file__}:{line_of('# broken gradient')}: the gradient of `broken1` does not agree with differences of its value: at "
    )
    assert "y=-31.7" in said and "delta=0.0137" in said and " it is " in said and " and should be " in said

    def hessian():
        @fl.loss
        class Broken2:
            def value(y, p):
                return (p - y) * (p - y)

            def hessian(y, p):  # broken hessian
                return -2.0

    said = refused(hessian)
    assert f":{line_of('# broken hessian')}: the hessian of `broken2` does not agree with differences of its gradient" in said
    assert "it is -2.0, and should be 2" in said


@pytest.mark.parametrize("gradient", [
    "2.0 * (y - p)", "(p - y)", "2.0 * (p - y) + 1e-4", "2.0 * (p - y) * (1.0 + 1e-5)", "2.0 * (p - y) if p < 3.0 else 0.0",
    "abs(2.0 * (p - y))", "2.0 * (p - y) if abs(p) < 40.0 else 0.0", "2.0 * (p - y) if p > -2.0e4 else 1.01 * (2.0 * (p - y))",
])  # fmt: skip
def test_small_errors_are_found(gradient, tmp_path):
    assert "the gradient of `small`" in refused(lambda: defined(f"return {gradient}", tmp_path))


def test_errors_near_the_ends_of_a_domain_are_found():
    def define():
        @fl.loss(target=fl.UNIT, prediction=fl.UNIT)
        class Brierlike:
            def value(y, p):
                return (p - y) * (p - y)

            def gradient(y, p):
                return 2.0 * (p - y) if p > 1e-4 and p < 0.9999 else 0.0

    assert "at y=0.0, p=0.999999 it is 0.0, and should be 1.999998" in refused(define)


def test_what_rounds_or_overflows_far_out_is_no_error():
    @fl.loss(target=fl.ZERO_ONE)
    class Overflowing:
        def value(y, p):
            return softplus(p) - y * p

        def gradient(y, p):  # NaN where exp(p) is infinite
            return exp(p) / (1.0 + exp(p)) - y

    @fl.loss
    class Expanded:
        def value(y, p):  # nothing is left of its digits where p is far from 0
            return p * p - 2.0 * p * y + y * y

    @fl.loss(target=fl.POSITIVE, prediction=fl.POSITIVE)
    class Detour:
        def value(y, p):
            return y + (p - y)

        def gradient(y, p):
            return 1.0

    assert Overflowing().gradient(1.0, 1.0) == fl.Logistic().gradient(1.0, 1.0) and Expanded().gradient(1.0, 2.0) == 2.0
    assert Detour().gradient(1.0, 2.0) == 1.0


def defined(gradient, folder):
    file = folder / "small.py"
    file.write_text(f"class Small:\n    def value(y, p):\n        return (p - y) * (p - y)\n    def gradient(y, p):\n        {gradient}\n")
    space = {"__name__": "small"}
    exec(compile(file.read_text(), str(file), "exec"), space)
    return fl.loss(space["Small"])


def test_kinks_are_left_alone():
    """At p = y any number between the slopes of both sides is a gradient; there, nothing is asked."""

    @fl.loss
    class Kink:
        def value(y, p):
            return abs(p - y)

        def gradient(y, p):
            return 1.0 if p >= y else -1.0

    assert Kink().gradient(1.0, 1.0) == 1.0


def test_a_wrong_example():
    def define():
        fl.loss(lambda y, p: abs(p - y), name="exampled", examples=((0.0, 1.0, 2.0),))

    assert "the example y=0.0, p=1.0 of `exampled` is 2.0, but its value 1.0" in refused(define)


def class_with(**space):
    return lambda: fl.loss(type("Refused", (), space))


def test_refused_with_file_and_line():
    def syntax():
        @fl.loss
        class Refused:
            def value(y, p):
                return (p - y) ** 2.0  # a power

    assert refused(syntax).startswith(f"{__file__}:{line_of('# a power')}: in formula `value`: `(p - y) ** 2.0` is outside the subset")

    def integer():
        @fl.loss
        def refused_integer(y, p):
            return 2 * (p - y)  # an integer

    assert refused(integer).startswith(
        f"{__file__}:{line_of('# an integer')}: in formula `refused_integer`: numbers are written as floats, got 2"
    )

    def domain():
        @fl.loss
        class Refused:
            scale = fl.Parameter(1.0)  # no domain

            def value(y, p, scale):
                return scale * (p - y)

    assert refused(domain).startswith(
        f"{__file__}:{line_of('# no domain')}: `Refused` has a parameter `scale` without a domain: fl.Parameter(1.0"
    )

    def outside():
        @fl.loss
        class Refused:
            scale = fl.Parameter(-1.0, fl.POSITIVE)  # outside

            def value(y, p, scale):
                return scale * (p - y)

    assert refused(outside).startswith(f"{__file__}:{line_of('# outside')}: `Refused` has a default outside the domain")

    def taken():
        @fl.loss
        class Huber:  # taken
            def value(y, p):
                return abs(p - y)

    assert refused(taken).startswith(
        f"{__file__}:{line_of('class Huber:  # taken') - 1}: `Huber` has the name 'huber', which belongs to the loss"
    )

    def missing():
        @fl.loss
        class Refused:
            def gradient(y, p):
                return p - y

    assert "`Refused` has no `value`" in refused(missing)

    def arguments():
        @fl.loss
        class Refused:
            scale = fl.Parameter(1.0, fl.POSITIVE)

            def value(y, p):
                return abs(p - y)

    assert "its arguments must be y, p and the parameters ['scale'] in this order, got ['y', 'p']" in refused(arguments)


def some(y, p):
    return abs(p - y)


def recursive(y, p):
    return recursive(y, p)


def starred(y, p, *others):
    return abs(p - y)


def undefaulted(y, p, a):
    return a * abs(p - y)


def statement(y, p):
    if p > y:
        return p - y
    return y - p


@pytest.mark.parametrize("define, words", [
    (class_with(value=some, scale=2.0), "has `scale`, which is no parameter, value, gradient or hessian"),
    (class_with(value=some, gradient=3.0), "has a `gradient` that is no function"),
    (lambda: fl.loss(recursive), "`recursive` calls itself"), (lambda: fl.loss(starred), "arguments are plain names"),
    (lambda: fl.loss(undefaulted), "parameter `a` of `undefaulted` has no default"),
    (lambda: fl.loss(statement), "only `name = expression` and a last `return` are allowed, not `if p > y:`"),
    (lambda: fl.loss(3), "is for a class or a function, got 3"), (lambda: fl.loss(lambda y, p: abs(p)), "a lambda has no name to go by"),
    (lambda: fl.loss(target="real")(some), "has a target that is no domain"),
    (lambda: fl.loss(name="Bad name")(some), "has the name 'Bad name'"),
    (lambda: fl.loss(name="mse")(some), "which belongs to the loss `squared_error` of fastloss"),
    (lambda: fl.loss(name="fine", aliases=["cauchy"])(some), "which belongs to the loss defined at"),
    (lambda: fl.loss(name="fine", domains={"a": fl.REAL})(some), "`domains` names 'a', which is no parameter"),
    (class_with(value=some, **{f"a{k}": fl.Parameter(1.0, fl.REAL) for k in range(9)}), "has 9 parameters; there may be 8"),
    (class_with(value=some, nan=fl.Parameter(1.0, fl.REAL)), "a parameter `nan`, whose name means something else"),
    (class_with(value=some, __len__=fl.Parameter(1.0, fl.REAL)), "a parameter `__len__`, whose name means something else"),
    (lambda: fl.loss(name="nowhere", prediction=fl.Interval(2.0, 2.0))(some), "is smooth at none of"),
])  # fmt: skip
def test_refused(define, words):
    assert words in refused(define)


def test_without_source():
    space = {}
    exec("def from_a_string(y, p):\n    return abs(p - y)", space)
    assert "the source of `from_a_string` cannot be read" in refused(lambda: fl.loss(space["from_a_string"]))
