"""The vocabulary in which a loss is defined: domains, parameters and the decorator that enters a class into the registry.

A definition is data and a few scalar functions. Nothing here computes anything, and nothing here imports more than the standard
library: the compiler reads these functions' source text, the engine and the command line read the rest.
"""

from __future__ import annotations

import math
import re

INF = math.inf


class Interval:
    """A range of real numbers; NaN is let through everywhere, because NaN propagates and is counted instead."""

    def __init__(self, low, high, *, open_low=False, open_high=False):
        self.low, self.high, self.open_low, self.open_high = low, high, open_low, open_high

    def __repr__(self):
        ends = ", open_low=True" * bool(self.open_low) + ", open_high=True" * bool(self.open_high)
        return f"{type(self).__name__}({float(self.low)!r}, {float(self.high)!r}{ends})"

    def __contains__(self, value):
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        return above and below

    def __str__(self):
        if self.low == -INF and self.high == INF:
            return "a real number"
        if self.high == INF:
            return f"{'>' if self.open_low else '>='} {self.low:g}"
        left, right = "(" if self.open_low else "[", ")" if self.open_high else "]"
        return f"in {left}{self.low:g}, {self.high:g}{right}"


class Either:
    """One of a few numbers."""

    def __init__(self, *values):
        self.values, self.low, self.high = values, min(values), max(values)

    def __contains__(self, value):
        return value in self.values

    def __str__(self):
        return " or ".join(f"{value:g}" for value in self.values)


class Integers(Interval):
    """The integers of a range."""

    def __contains__(self, value):
        return super().__contains__(value) and float(value).is_integer()

    def __str__(self):
        return f"an integer {super().__str__()}"


class Labels:
    """Exactly two values, the negative class first. A bool array is always accepted: False is the first, True the second."""

    def __init__(self, negative, positive):
        self.values = (negative, positive)
        self.low, self.high = self.values

    def __contains__(self, value):
        return value in self.values

    def __str__(self):
        return f"{self.low:g} or {self.high:g} (or bool)"


REAL = Interval(-INF, INF)
NONNEGATIVE = Interval(0.0, INF)
POSITIVE = Interval(0.0, INF, open_low=True)
ABOVE_MINUS_ONE = Interval(-1.0, INF, open_low=True)
UNIT = Interval(0.0, 1.0)
ZERO_ONE = Labels(0.0, 1.0)
SIGN = Labels(-1.0, 1.0)


class Parameter:
    """A number that configures a loss.

    default   what it is when not given; one of ``names`` or a number in ``domain``
    domain    the Interval it must lie in
    doc       one line on what it does
    names     words that stand for a number: a policy's name, or what another library uses. A dict instead of a number gives the
              value by dtype: {"float32": ..., "float64": ...}. None and True/False may be words too.
    usual     a number, often the default, for which kernels get loops of their own, in which the compiler computes ahead what it can
              and drops what conditions on this number leave out: a pow with the exponent 2, say
    rare      of losses of rows: the usual number is so usual, and another so dear (a tanh of every score), that kernels for other
              parameters, and for class weights, are made with this one left usual, too
    """

    def __init__(self, default, domain=None, doc="", names=None, usual=None, rare=False):
        self.default, self.domain, self.doc, self.names, self.usual, self.rare = default, domain, doc, names or {}, usual, rare

    @property
    def switch(self):
        """Is it True or False, and nothing else?"""
        return set(self.names) == {True, False}

    def check(self, loss, name, value):
        """The value as it is kept in a configured loss: a float in the domain, or one of the names."""
        if isinstance(value, str | bool | None) and value in self.names:
            return value
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not isinstance(value, bool) and math.isfinite(number) and number in self.domain:
            return number
        raise ValueError(f"`{name}` of `{loss}` must be {self.allowed()}, got {value!r}")

    def allowed(self):
        words = [repr(word) for word in self.names]
        if self.domain.low < self.domain.high:
            words = [str(self.domain)] + words
        return " or ".join(words)

    def number(self, value, dtype):
        """The number that a kernel for ``dtype`` is given."""
        if isinstance(value, str | bool | None):
            value = self.names[value]
        return value[dtype] if isinstance(value, dict) else value


NOTHING = Interval(INF, -INF)


def Switch(default, doc, usual=None):  # noqa: N802 - reads as a class where it is used
    """A parameter that is True or False; the formula sees 1.0 or 0.0."""
    return Parameter(default, NOTHING, doc, names={True: 1.0, False: 0.0}, usual=usual)


class Definition:
    """Everything known of one loss. See ``loss`` for the fields."""

    own = False  # of the package, not of its user
    rows = False  # one number per prediction, not a row of them
    options = ()  # what configures it besides parameters
    outer = None  # of a derived cost: "sqrt" or "exp", what is taken of the cost of the loss ``base``
    terms = ()  # of a cost computed from sums: the names in TERMS of what is summed, and ``slope`` that of its gradient's formula

    def __init__(self, body, **facts):
        self.class_name = body.__name__
        self.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", body.__name__).lower()
        self.module = body.__module__
        self.doc = body.__doc__ or ""
        self.summary = self.doc.strip().split("\n")[0]
        self.body = body
        self.parameters = {key: value for key, value in vars(body).items() if isinstance(value, Parameter)}
        for key, value in facts.items():
            setattr(self, key, value)

    @property
    def functions(self):
        """{"value": f, "gradient": f, "hessian": f}: the scalar formulas."""
        return {part: vars(self.body)[part] for part in ("value", "gradient", "hessian")}

    def __repr__(self):
        return f"<definition of {self.name}>"


REGISTRY: dict[str, Definition] = {}
TERMS: dict[str, Definition] = {}  # what costs sum over the samples that is no loss by itself
SUM_REGISTRY: dict[str, Definition] = {}  # costs computed from such sums
ALIASES: dict[str, str] = {}
OWN: dict[str, Definition] = {}  # by name and alias: losses that users defined (engine/own.py), which no list of the package's shows


def register(definition, registry=None):
    for name in (definition.name, *definition.aliases):
        if name in ALIASES:
            raise ValueError(f"the name {name!r} of {definition.name} already belongs to {ALIASES[name]}")
        ALIASES[name] = definition.name
    (REGISTRY if registry is None else registry)[definition.name] = definition


def loss(*, target, prediction, formula, source, family, aliases=(), examples=(), wide=False, notes=""):
    """Enter a class into the registry as a loss.

    target, prediction  the domains of y and of p
    formula             the per-sample loss as one would write it in a paper
    source              where that definition comes from (paper or library)
    aliases             the field's other names for it
    examples            (y, p, value) or (y, p, value, {parameter: value}): checked by a test, shown by the reference
    wide                float32 input is computed in float64: for formulas that cancel where nothing cheaper keeps 4 ULP
    notes               what a user should know besides: conventions at kinks, which libraries differ and how

    The class holds Parameters and three functions of one sample, (y, p, parameters...) -> number: ``value``, ``gradient`` and
    ``hessian``, the derivatives being with respect to p. They are written in the subset of Python that compiler/subset.py states.
    """

    def enter(body):
        for part in ("value", "gradient", "hessian"):
            if part not in vars(body):
                raise TypeError(f"{body.__name__} has no {part}")
        register(
            Definition(
                body, target=target, prediction=prediction, formula=formula, source=source, family=family,
                aliases=tuple(aliases), examples=tuple(examples), wide=wide, notes=notes, base=None, root=False,
            )
        )  # fmt: skip
        return body

    return enter


def root_of(base, *, formula, source, aliases=(), examples=()):
    """Enter a derived cost: the square root of another loss's cost. It has no value per sample."""

    def enter(body):
        of = REGISTRY[base]
        register(
            Definition(
                body, target=of.target, prediction=of.prediction, formula=formula, source=source, family=of.family,
                aliases=tuple(aliases), examples=tuple(examples), wide=of.wide, notes="", base=base, root=True, outer="sqrt",
            )
        )  # fmt: skip
        return body

    return enter


def term(*, target, prediction, formula):
    """Enter a class as a term: written and compiled as a loss is, but only the sums of it are used, or its gradient as a ``slope``."""

    def enter(body):
        definition = Definition(
            body, target=target, prediction=prediction, formula=formula, source="", family="", aliases=(), examples=(), wide=False,
            notes="", base=None, root=False,
        )  # fmt: skip
        TERMS[definition.name] = definition
        return body

    return enter


def of_sums(*terms, slope, formula, source, family, aliases=(), examples=(), notes=""):
    """Enter a cost that is no mean: a function of the sums of a few terms over all samples.

    terms     names of terms, whose sums of w * term are exact and are all that is kept of the data
    slope     name of a term with one parameter per sum, whose gradient by p is what they are multiplied by and the terms' gradients, added
    examples  ((y, ...), (p, ...), cost) or with {parameter: value} as a fourth
    The rest is as in ``loss``.

    The class holds Parameters and two functions of (sums..., parameters...), which are plain Python and called with fractions: nothing
    in them is rounded. ``value`` is the cost; ``slopes`` its derivatives by each of the sums, a tuple. Where a sum is NaN or infinite,
    value is called with floats instead. A parameter ``average``, if there is one, is the engine's (engine/sums.py), and not theirs.
    """

    def enter(body):
        of = TERMS[terms[0]]
        definition = Definition(
            body, target=of.target, prediction=of.prediction, formula=formula, source=source, family=family, aliases=tuple(aliases),
            examples=tuple(examples), wide=False, notes=notes, base=None, root=False, terms=terms, slope=slope,
        )  # fmt: skip
        register(definition, SUM_REGISTRY)
        return body

    return enter


AVERAGE = Parameter(
    "micro", NOTHING, "'micro': one cost of all numbers; of rows (N, C) also 'macro': the mean of the C classes' costs, or None: all C",
    names={"micro": 0.0, "macro": 1.0, None: 2.0},
)  # fmt: skip
