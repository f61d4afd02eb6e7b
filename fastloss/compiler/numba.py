"""Compiles formulas with Numba, at run time: the fallback where there are no compiled kernels, to the same formulas and methods.

A kernel is one loop over contiguous memory, as in compiler/cython.py, without a branch, so that LLVM vectorises it; tiles.py takes it
through the data. It is compiled on first use and once per process.
"""

import functools

from numba import cfunc, types
from numba.core import cgutils
from numba.extending import intrinsic

from fastloss.compiler.llvm import DOUBLE, Number, emit
from fastloss.compiler.subset import formulas
from fastloss.compiler.vecmath32 import Single
from fastloss.compiler.vecmath64 import Double

OUTPUTS = ("value", "gradient", "hessian")

formulas_of = functools.cache(formulas)


@functools.cache
def kernel(definition, parts, dtype, fixed):
    """The compiled kernel of a loss that writes the outputs named by parts; ``fixed`` are the definition's switches."""

    def sample(vocabulary, y, p, parameters):
        given = [parameter if value is None else vocabulary.number(value) for parameter, value in zip(parameters, fixed, strict=True)]
        return {OUTPUTS.index(part): emit(formulas_of(definition)[part], [y, p, *given], vocabulary) for part in parts}

    return loop(dtype, definition.wide, len(fixed), sample)


def loop(dtype, wide, count, sample):
    """A compiled function(y, p, parameters, loss, gradient, hessian, n), to be called at its ``address``: pointers to values of the
    dtype, parameters to ``count`` float64 (which the engine has rounded to the dtype, also where the computing is wider).

    sample(vocabulary, y, p, parameters) emits what is done with one sample, in float64 if wide or the dtype is that, and returns the
    values to be stored by the position of the output.
    """
    pointer = types.CPointer(types.float32 if dtype == "float32" else types.float64)
    signature = types.void(pointer, pointer, types.CPointer(types.float64), pointer, pointer, pointer, types.intp)

    def body(context, builder, _, arguments):
        y, p, parameters, *outputs, n = arguments
        vocabulary = (Double if wide or dtype == "float64" else Single)(builder)

        def read(array, index):
            number = Number(builder, builder.load(builder.gep(array, [index], inbounds=True)))
            return number.widened() if vocabulary.real == DOUBLE else number.narrowed()

        given = [read(parameters, n.type(index)) for index in range(count)]
        with cgutils.for_range(builder, n) as each:
            for output, result in sample(vocabulary, read(y, each.index), read(p, each.index), given).items():
                stored = result if dtype == "float64" else result.narrowed()
                builder.store(stored.value, builder.gep(outputs[output], [each.index], inbounds=True))
        return context.get_dummy_value()

    @intrinsic
    def whole(typing, y, p, parameters, loss, gradient, hessian, n):
        return signature, body

    @cfunc(signature)
    def function(y, p, parameters, loss, gradient, hessian, n):
        whole(y, p, parameters, loss, gradient, hessian, n)

    return function
