"""Compiles rowwise losses with Numba: the text of rows_python.py, in which a number is now a vector, one row in each of its lanes.

Arrays of numbers have the lanes as a last axis: z[n][classes][lanes]. The vectors are a type of Numba's of our own, and every function in
the text an intrinsic that emits its arithmetic (llvm.py, vecmath.py), so that nothing is left to LLVM's vectoriser or to Numba's typing.
"""

import functools

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

from fastloss.compiler import exactsum
from fastloss.compiler.llvm import DOUBLE, FLOAT, I1, I32, Bits, Condition, Number, constant, emit
from fastloss.compiler.rows_pairs import pairs
from fastloss.compiler.rows_python import formulas_in, row_plan
from fastloss.compiler.rows_scalar import left, plus
from fastloss.compiler.rows_threshold import threshold
from fastloss.compiler.vecmath32 import Single
from fastloss.compiler.vecmath64 import Double

VOCABULARIES = {"float32": Single, "float64": Double}
VALUES = {FLOAT: Number, DOUBLE: Number, I32: Bits, I1: Condition}


def lanes_of(dtype):
    """How many rows go through at a time: two registers full."""
    return 4 * exactsum.LANES // np.dtype(dtype).itemsize


class Lanes(types.Type):
    """A vector of so many elements of an LLVM type."""

    def __init__(self, element, count):
        self.element, self.count = element, count
        super().__init__(name=f"Lanes({element}, {count})")

    def constant(self, number):
        return constant(ir.VectorType(self.element, self.count), number)


@register_model(Lanes)
class LanesModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, ir.VectorType(kind.element, kind.count))


def inlined(count, result, body):
    """A function of so many arguments whose code body(context, builder, signature, arguments) emits; ``result``: its type, or the number
    of the argument that has it."""

    def typed(typing, *given):
        return (given[result] if isinstance(result, int) else result)(*given), body

    arguments = "".join(f", a{k}" for k in range(count))
    space = {"typed": typed}
    exec(f"def function(typing{arguments}): return typed(typing{arguments})", space)  # an intrinsic says how many arguments it takes
    return intrinsic(space["function"])


class Machine:
    """The functions of rows_scalar.SCALAR for vectors of a compute dtype, by name: ``space``."""

    def __init__(self, dtype):
        self.lanes, self.vocabulary = lanes_of(dtype), VOCABULARIES[dtype]
        self.real, self.wide, self.integer, self.truth = (Lanes(element, self.lanes) for element in (self.vocabulary.real, DOUBLE, I32, I1))
        real, wide = self.real, self.wide
        self.space = {
            "_get": inlined(3, real, self.get),
            "_put": inlined(4, types.void, self.set),
            "_gather": inlined(3, real, self.gather),
            "_across": inlined(2, real, self.across),
            "_lookup": inlined(2, real, self.lookup),
            "_spread": inlined(1, self.integer, self.spread),
            "_own": inlined(2, self.integer, self.get),
            "_least": inlined(0, real, lambda *_: real.constant(-np.inf)),
            "_zero": inlined(0, real, lambda *_: real.constant(0.0)),
            "_nothing": inlined(0, wide, lambda *_: wide.constant(0.0)),
            "_number": self.function(1, real, lambda v, k: Number(v.builder, v.builder.sitofp(k.value, v.kind))),
            "_same": self.function(2, self.truth, lambda v, a, b: Condition(v.builder, v.builder.icmp_signed("==", a.value, b.value))),
            "_pick": self.function(3, 1, lambda v, which, yes, no: which.select(yes, no)),
            "_indicator": self.function(1, real, lambda v, which: which.select(v.number(1.0), 0.0)),
            "_settled": self.function(1, real, lambda v, top: top + (top - top)),
            "_inverse": self.function(2, real, lambda v, a, b: 1.0 / (a + b)),
            "_log1p_quotient": self.function(2, real, lambda v, a, b: v.log1p(a / b)),
            "_product": self.function(2, real, lambda v, a, b: a * b),
            "_beyond": self.function(2, self.truth, beyond),
            "_plus": self.function(3, types.UniTuple(wide, 2), self.plus),
            "_rounded": self.function(2, real, self.rounded),
            "_left": self.function(2, real, self.left),
            "_exp_gap": self.function(2, real, exp_gap),
        }
        self.space["_threshold"], self.space["_pairs"] = threshold(self), pairs(self)

    def function(self, count, result, make):
        """make(vocabulary, *values) -> value, or a tuple of them, inlined."""

        def body(context, builder, signature, arguments):
            values = [VALUES[argument.type.element](builder, argument) for argument in arguments]
            made = make(self.vocabulary(builder, self.lanes), *values)
            if isinstance(made, tuple):
                return context.make_tuple(builder, signature.return_type, [value.value for value in made])
            return made.value

        return inlined(count, result, body)

    def formula(self, formula, known):
        """A formula of the arguments that are not known."""

        def make(vocabulary, *given):
            given = iter(given)
            return emit(formula, [next(given) if value is None else vocabulary.number(value) for value in known], vocabulary)

        return self.function(known.count(None), self.real, make)

    def plus(self, vocabulary, total, lost, value):
        """rows_scalar.plus; float64 is as good as of twice the precision where float32 is summed, and keeps no account of what it loses."""
        return plus(total, lost, value) if self.real == self.wide else (total + value.widened(), lost)

    def rounded(self, vocabulary, total, lost):
        if self.real != self.wide:
            return total.narrowed()
        result = total + lost
        return result.compare("!=", result).select(total, result)

    def left(self, vocabulary, total, lost):
        """rows_scalar.left"""
        return left(total, lost) if self.real == self.wide else (total - total.narrowed().widened()).narrowed()

    # ---- memory ------------------------------------------------------------------------------------------------------------------
    def pointer(self, context, builder, kind, array, *index):
        """Where the lanes of an element of an array begin."""
        made = context.make_array(kind)(context, builder, array)
        shape = cgutils.unpack_tuple(builder, made.shape, kind.ndim)
        at = index[0]
        for size, k in zip(shape[1:], index[1:], strict=False):
            at = builder.add(builder.mul(at, size), k)
        for size in shape[len(index) :]:
            at = builder.mul(at, size)
        return builder.gep(made.data, [at], inbounds=True)

    def get(self, context, builder, signature, arguments):
        pointer = self.pointer(context, builder, signature.args[0], *arguments)
        kind = ir.VectorType(pointer.type.pointee, self.lanes)
        return builder.load(builder.bitcast(pointer, kind.as_pointer()), align=4)

    def set(self, context, builder, signature, arguments):
        *place, value = arguments
        pointer = self.pointer(context, builder, signature.args[0], *place)
        builder.store(value, builder.bitcast(pointer, value.type.as_pointer()), align=4)
        return context.get_dummy_value()

    def collected(self, builder, labels, element):
        """A vector of element(its lane, the label there)."""
        result = ir.Constant(ir.VectorType(self.real.element, self.lanes), ir.Undefined)
        for k in range(self.lanes):
            lane = ir.Constant(I32, k)
            label = builder.sext(builder.extract_element(labels, lane), ir.IntType(64))
            result = builder.insert_element(result, builder.load(element(k, label)), lane)
        return result

    def gather(self, context, builder, signature, arguments):
        array, i, labels = arguments
        kind = signature.args[0]

        def element(k, label):
            return builder.gep(self.pointer(context, builder, kind, array, i, label), [ir.Constant(I32, k)], inbounds=True)

        return self.collected(builder, labels, element)

    def lookup(self, context, builder, signature, arguments):
        array, labels = arguments
        return self.collected(builder, labels, lambda k, label: self.pointer(context, builder, signature.args[0], array, label))

    def splat(self, builder, value):
        kind = ir.VectorType(value.type, self.lanes)
        first = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(I32, 0))
        return builder.shuffle_vector(first, first, constant(ir.VectorType(I32, self.lanes), 0))

    def across(self, context, builder, signature, arguments):
        return self.splat(builder, builder.load(self.pointer(context, builder, signature.args[0], *arguments)))

    def spread(self, context, builder, signature, arguments):
        return self.splat(builder, builder.trunc(arguments[0], I32))


def beyond(vocabulary, value, best):
    return (value > best) | (value.compare("!=", value) & best.equals(best))


def exp_gap(vocabulary, value, base):
    """rows_scalar.exp_gap."""
    gap = value - base
    part = gap - value
    lost = (value - (gap - part)) - (base + part)
    return vocabulary.exp_neg(gap, (gap > vocabulary.exp_bottom).select(lost, -0.0))


machine = functools.cache(Machine)


@functools.cache
def vector_rows(definition, outputs, constants, dtype):
    """(``rows``, compiled for arrays of this dtype, how many numbers of a class it keeps)."""
    plan, text = row_plan(definition, outputs, constants)
    tools = machine(dtype)
    space = tools.space | {name: tools.formula(formula, known) for name, formula, known in formulas_in(plan)}
    exec(compile(text, f"<rows of {definition.name}>", "exec"), space)  # made of our own formulas, checked to be within the subset
    real = types.float32 if dtype == "float32" else types.float64
    given, made = (types.Array(real, 3, "C", readonly=readonly) for readonly in (True, False))
    line, labels = types.Array(real, 1, "C", readonly=True), types.Array(types.int32, 3, "C")
    signature = types.void(types.intp, types.intp, given, given, line, labels, given, line, made, made, made, made)
    return numba.njit(signature, nogil=True, error_model="numpy")(space["rows"]), len(plan.stored())
