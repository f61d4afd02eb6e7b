"""LLVM's values with Python's operators, so that code which emits arithmetic reads like the arithmetic; and formulas in terms of them.

Numba compiles what is emitted here, but does not see it: its own typing would widen every float32 that meets a literal, and its
branches would keep loops scalar. A choice is a select, as in the compiled kernels, and nothing but what is written is rounded.
"""

import ast
import functools
import platform

import numba
from llvmlite import ir
from numba.core import cgutils
from numba.core.codegen import get_host_cpu_features

I1, I32, I64 = ir.IntType(1), ir.IntType(32), ir.IntType(64)
FLOAT, DOUBLE = ir.FloatType(), ir.DoubleType()


@functools.cache
def cpu_has(feature):
    """Does the processor that Numba compiles for have this feature, as LLVM calls it?"""
    features = get_host_cpu_features() if numba.config.CPU_FEATURES is None else numba.config.CPU_FEATURES
    return "+" + feature in features.split(",")


def has_fma():
    return platform.machine() in ("aarch64", "arm64") or cpu_has("fma")


def element_of(kind):
    return kind.element if isinstance(kind, ir.VectorType) else kind


def like(kind, element):
    """A type of as many lanes as ``kind``, but of another element."""
    return ir.VectorType(element, kind.count) if isinstance(kind, ir.VectorType) else element


def constant(kind, number):
    return ir.Constant(kind, [ir.Constant(kind.element, number)] * kind.count if isinstance(kind, ir.VectorType) else number)


class Value:
    """An LLVM value (a scalar, or a vector of lanes) and the builder that emits what is done with it. Python numbers become constants
    of the other operand's type."""

    def __init__(self, builder, value):
        self.builder, self.value = builder, value

    def of(self, other):
        return other.value if isinstance(other, Value) else constant(self.value.type, other)

    def made(self, value):
        return type(self)(self.builder, value)


class Condition(Value):
    """True or False, or a lane of it for each lane."""

    def __and__(self, other):
        return self.made(self.builder.and_(self.value, other.value))

    def __or__(self, other):
        return self.made(self.builder.or_(self.value, other.value))

    def select(self, yes, no):
        """yes where this holds, else no; at least one of them is a Value."""
        known = yes if isinstance(yes, Value) else no
        return known.made(self.builder.select(self.value, known.of(yes), known.of(no)))


class Bits(Value):
    """An integer as wide as a Number. Comparisons are signed, shifts to the right unsigned."""

    def __add__(self, other):
        return self.made(self.builder.add(self.value, self.of(other)))

    def __sub__(self, other):
        return self.made(self.builder.sub(self.value, self.of(other)))

    def __rsub__(self, other):
        return self.made(self.builder.sub(self.of(other), self.value))

    def __and__(self, other):
        return self.made(self.builder.and_(self.value, self.of(other)))

    def __or__(self, other):
        return self.made(self.builder.or_(self.value, self.of(other)))

    def __lshift__(self, count):
        return self.made(self.builder.shl(self.value, self.of(count)))

    def __rshift__(self, count):
        return self.made(self.builder.lshr(self.value, self.of(count)))

    def __lt__(self, other):
        return Condition(self.builder, self.builder.icmp_signed("<", self.value, self.of(other)))

    def __gt__(self, other):
        return Condition(self.builder, self.builder.icmp_signed(">", self.value, self.of(other)))

    def number(self):
        """The same bits, read as a floating-point number."""
        element = DOUBLE if element_of(self.value.type) == I64 else FLOAT
        return Number(self.builder, self.builder.bitcast(self.value, like(self.value.type, element)))


class Number(Value):
    """A float or double. As the formulas have it: comparisons with NaN are false, but != is true."""

    def __add__(self, other):
        return self.made(self.builder.fadd(self.value, self.of(other)))

    def __sub__(self, other):
        return self.made(self.builder.fsub(self.value, self.of(other)))

    def __mul__(self, other):
        return self.made(self.builder.fmul(self.value, self.of(other)))

    def __truediv__(self, other):
        return self.made(self.builder.fdiv(self.value, self.of(other)))

    def __radd__(self, other):
        return self.made(self.builder.fadd(self.of(other), self.value))

    def __rsub__(self, other):
        return self.made(self.builder.fsub(self.of(other), self.value))

    def __rmul__(self, other):
        return self.made(self.builder.fmul(self.of(other), self.value))

    def __rtruediv__(self, other):
        return self.made(self.builder.fdiv(self.of(other), self.value))

    def __neg__(self):
        return self.made(self.builder.fneg(self.value))

    def compare(self, operator, other):
        emit = self.builder.fcmp_unordered if operator == "!=" else self.builder.fcmp_ordered
        return Condition(self.builder, emit(operator, self.value, self.of(other)))

    def __lt__(self, other):
        return self.compare("<", other)

    def __le__(self, other):
        return self.compare("<=", other)

    def __gt__(self, other):
        return self.compare(">", other)

    def __ge__(self, other):
        return self.compare(">=", other)

    def equals(self, other):
        return self.compare("==", other)

    def bits(self):
        element = I64 if element_of(self.value.type) == DOUBLE else I32
        return Bits(self.builder, self.builder.bitcast(self.value, like(self.value.type, element)))

    def call(self, intrinsic, *others):
        """One of LLVM's own functions: fabs, sqrt, copysign, fma."""
        kind, module = self.value.type, self.builder.module
        lanes = f"v{kind.count}" if isinstance(kind, ir.VectorType) else ""
        function = cgutils.get_or_insert_function(
            module, ir.FunctionType(kind, [kind] * (1 + len(others))), f"{intrinsic}.{lanes}{element_of(kind).intrinsic_name}"
        )
        return self.made(self.builder.call(function, [self.value, *map(self.of, others)]))

    def widened(self):
        """As double."""
        kind = like(self.value.type, DOUBLE)
        return self if self.value.type == kind else self.made(self.builder.fpext(self.value, kind))

    def narrowed(self):
        """Rounded to float."""
        kind = like(self.value.type, FLOAT)
        return self if self.value.type == kind else self.made(self.builder.fptrunc(self.value, kind))


OPERATORS = {ast.Add: Number.__add__, ast.Sub: Number.__sub__, ast.Mult: Number.__mul__, ast.Div: Number.__truediv__}
COMPARISONS = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}


def emit(formula, arguments, vocabulary):
    """The value of a formula (compiler/subset.py) of these Numbers, with the functions of a vocabulary (compiler/vecmath.py)."""
    names = dict(zip(formula.arguments, arguments, strict=True))

    def number(node):
        match node:
            case ast.Constant(value=value):
                return vocabulary.number(value)
            case ast.Name(id=name):
                return names[name] if name in names else vocabulary.number(float("inf"))  # the vocabulary's one constant
            case ast.BinOp(left=left, op=op, right=right):
                return OPERATORS[type(op)](number(left), number(right))
            case ast.UnaryOp(operand=operand):
                return -number(operand)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return condition(test).select(number(body), number(orelse))
            case ast.Call(func=ast.Name(id=name), args=given):
                values = [number(argument) for argument in given]
                return emit(formula.helpers[name], values, vocabulary) if name in formula.helpers else getattr(vocabulary, name)(*values)

    def condition(node):
        match node:
            case ast.BoolOp(op=op, values=values):
                return functools.reduce(Condition.__and__ if isinstance(op, ast.And) else Condition.__or__, map(condition, values))
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return number(left).compare(COMPARISONS[type(op)], number(right))

    for name, expression in formula.assignments:
        names[name] = number(expression)
    return number(formula.result)
