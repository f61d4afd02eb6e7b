"""Exact sums for Numba: kernels/exactsum.h, which proves the bounds used here, as vector code that Numba calls.

An accumulator is an int64 array of ACCUMULATOR elements: 68 limbs of 32 bits in units of 2**-1088, each with the carries not yet passed
on, and the number of deposits since they were. Tiles of at most 2,048 values are reduced to a few numbers by error-free folds.
"""

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastloss.compiler.llvm import DOUBLE, I64, Bits, Number, constant, cpu_has, like

LIMBS = 68
ACCUMULATOR = LIMBS + 1
BIAS = 1088
N_NAN, N_POSITIVE, N_NEGATIVE, FIRST_NAN = range(4)  # of counts
LANES = 32 if cpu_has("avx512f") else 16 if cpu_has("avx") else 8  # values taken at a time: several registers full
LIFT = sum(1 << (32 * i + 31) for i in range(LIMBS))
jit = numba.njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)  # for compiled callers only: half the compile time


def as_int(accumulator):
    """The sum as a Python integer in units of 2**-1088."""
    limbs = accumulator[:LIMBS]
    low, high = (half.astype("<u4").tobytes() for half in (limbs & 0xFFFFFFFF, (limbs >> 32) + (1 << 31)))  # lifted: not negative
    return int.from_bytes(low, "little") + (int.from_bytes(high, "little") - LIFT << 32)


@jit
def carry(accumulator):
    """Pass carries on, so that all limbs but the last lie in [0, 2**32)."""
    over = 0
    for i in range(LIMBS - 1):
        limb = accumulator[i] + over
        over = limb >> 32
        accumulator[i] = limb & 0xFFFFFFFF
    accumulator[LIMBS - 1] += over
    accumulator[LIMBS] = 0


@intrinsic
def bits_of(typing, value):
    """The bits of a float64 as an int64."""
    return types.int64(types.float64), lambda context, builder, _, arguments: builder.bitcast(arguments[0], I64)


@jit
def add(accumulator, value):
    """Add one finite float64."""
    bits = bits_of(value)
    mantissa = bits & 0xFFFFFFFFFFFFF
    exponent = (bits >> 52) & 0x7FF
    if exponent:
        mantissa |= 1 << 52
    else:
        exponent = 1
    position = exponent - 1075 + BIAS
    limb, shift = position >> 5, position & 31
    low = (mantissa << shift) & 0xFFFFFFFF
    middle = (mantissa >> (32 - shift)) & 0xFFFFFFFF
    high = (mantissa >> 32) >> (32 - shift)
    if bits < 0:
        low, middle, high = -low, -middle, -high
    accumulator[limb] += low
    accumulator[limb + 1] += middle
    accumulator[limb + 2] += high
    accumulator[LIMBS] += 1
    if accumulator[LIMBS] >= 1 << 30:
        carry(accumulator)


def reduced(values, combine):
    """All lanes of a vector as one scalar, by halves."""
    builder, value = values.builder, values.value
    lanes = LANES
    while lanes > 1:
        lanes //= 2
        halves = (ir.Constant(ir.VectorType(ir.IntType(32), lanes), list(range(first, first + lanes))) for first in (0, lanes))
        low, high = (values.made(builder.shuffle_vector(value, value, half)) for half in halves)
        value = combine(low, high).value
    return values.made(builder.extract_element(value, ir.Constant(ir.IntType(32), 0)))


def splat(number):
    """A scalar in all lanes."""
    kind, zero = ir.VectorType(number.value.type, LANES), ir.Constant(ir.IntType(32), 0)
    first = number.builder.insert_element(ir.Constant(kind, ir.Undefined), number.value, zero)
    return number.made(number.builder.shuffle_vector(first, first, constant(ir.VectorType(ir.IntType(32), LANES), 0)))


class Variable:
    """What a loop changes: a Value in a stack slot, of which LLVM makes a register."""

    def __init__(self, start):
        self.start, self.slot = start, cgutils.alloca_once_value(start.builder, start.value)

    def get(self):
        return self.start.made(self.start.builder.load(self.slot))

    def set(self, value):
        self.start.builder.store(value.value, self.slot)


class Tile:
    """Contiguous float32 or float64 values from ``at`` on, in an array that Numba passed to an intrinsic."""

    def __init__(self, context, builder, kind, array, at, n):
        self.builder, self.n = builder, n
        self.first = builder.gep(context.make_array(kind)(context, builder, array).data, [at], inbounds=True)
        self.element = self.first.type.pointee
        self.kind = ir.VectorType(self.element, LANES)

    def block(self, index):
        """LANES values from index on."""
        pointer = self.builder.bitcast(self.builder.gep(self.first, [index], inbounds=True), self.kind.as_pointer())
        return Number(self.builder, self.builder.load(pointer, align=8 if self.element == DOUBLE else 4))

    def blocks(self, step):
        """Call step of every whole block; what is left at the end, less than LANES values, is the caller's."""
        lanes = self.n.type(LANES)
        with cgutils.for_range(self.builder, self.builder.udiv(self.n, lanes)) as each:
            step(self.block(self.builder.mul(each.index, lanes)))

    def cover(self, step):
        """Call step of blocks that cover all values, of which there must be LANES or more; some are seen twice."""
        self.blocks(step)
        step(self.block(self.builder.sub(self.n, self.n.type(LANES))))


@intrinsic
def range_of(typing, values, at, n):
    """(exponent of the largest, of the smallest nonzero magnitude) among n >= LANES values, as the format's exponent field has it: an
    infinity or NaN is the field's maximum; -1 for the largest if all are zero."""

    def emit(context, builder, signature, arguments):
        tile = Tile(context, builder, signature.args[0], *arguments)
        width, fraction = (64, 52) if tile.element == DOUBLE else (32, 23)
        top = (1 << (width - 1)) - 1
        kind = like(tile.kind, ir.IntType(width))
        largest, smallest = (Variable(Bits(builder, constant(kind, start))) for start in (0, top))

        def lower(a, b):
            return (a < b).select(a, b)

        def higher(a, b):
            return (a < b).select(b, a)

        def step(block):
            magnitude = block.bits() & top
            largest.set(higher(largest.get(), magnitude))
            smallest.set(lower(smallest.get(), (magnitude - 1) & top))  # zero becomes the largest of all

        tile.cover(step)
        high, low = reduced(largest.get(), higher), reduced(smallest.get(), lower) + 1
        none = high < 1
        ends = [none.select(-1, high >> fraction).value, (low >> fraction).value]
        return context.make_tuple(builder, signature.return_type, [end if width == 64 else builder.sext(end, I64) for end in ends])

    return types.UniTuple(types.int64, 2)(values, at, n), emit


def sigma(builder, exponent):
    """1.5 * 2**exponent, the middle of a binade: sums may stray half a binade either way."""
    return 1.5 * ((Bits(builder, exponent) + 1023) << 52).number()


def hidden_one(builder):
    """1.0, of which LLVM does not know that it is."""
    same = ir.InlineAsm(ir.FunctionType(I64, [I64]), "", "=r,0")
    return Bits(builder, builder.call(same, [Number(builder, constant(DOUBLE, 1.0)).bits().value])).number()


def folds(count):
    """folds(values, at, n, k) -> (high parts, middle parts, rest): three float64 whose sum is exactly that of the values in whole blocks,
    after ``count`` (0, 1 or 2) folds against 1.5 * 2**k and 1.5 * 2**(k - 42)."""

    @intrinsic
    def folds(typing, values, at, n, k):
        def emit(context, builder, signature, arguments):
            *tile, k = arguments
            tile = Tile(context, builder, signature.args[0], *tile)
            zero = Number(builder, constant(like(tile.kind, DOUBLE), 0.0))
            starts = [splat(sigma(builder, (Bits(builder, k) - 42 * fold).value)) for fold in range(count)]
            sums, rest = [Variable(start) for start in starts], Variable(zero)

            one = splat(hidden_one(builder)) if cpu_has("avx512f") else None

            def step(block):
                v = block.widened()
                for s in sums:
                    total = s.get() + v
                    part = total - s.get()
                    v = part.call("llvm.fma", -one, v) if one else v - part
                    s.set(total)
                rest.set(v.call("llvm.fma", one, rest.get()) if one else rest.get() + v)

            tile.blocks(step)
            parts = [s.get() - start for s, start in zip(sums, starts, strict=True)] + [zero] * (2 - count) + [rest.get()]
            return context.make_tuple(builder, signature.return_type, [reduced(part, Number.__add__).value for part in parts])

        return types.UniTuple(types.float64, 3)(values, at, n, k), emit

    return folds


plain, once, twice = map(folds, range(3))


@jit
def add_tile(total, left_out, counts, values, at, n, w, w_at, start):
    """Add n <= 2,048 values from ``at`` on. Infinities and NaN among them are counted instead: the first NaN from ``start`` on, and the
    weight of each, if w is not None, is added to left_out."""
    bias, fraction = (127, 23) if values.itemsize == 4 else (1023, 52)
    done = 0
    if n >= LANES:
        largest, smallest = range_of(values, at, n)
        if largest < 0:
            return
        k = largest - bias + 12
        unit = (smallest if smallest else 1) - bias - fraction
        parts = (0.0, 0.0, 0.0)
        if largest <= 2 * bias and unit >= k - 137:
            done = n - n % LANES
            if unit >= k - 53:
                parts = plain(values, at, n, k)
            elif k <= 1000 and unit >= k - 95:
                parts = once(values, at, n, k)
            elif k <= 1000 and k > -900:
                parts = twice(values, at, n, k)
            else:
                done = 0
        for part in parts:
            if part != 0.0:
                add(total, part)
    for i in range(done, n):
        x = np.float64(values[at + i])
        if x - x == 0.0:
            add(total, x)
        elif x == x:
            counts[N_POSITIVE if x > 0.0 else N_NEGATIVE] += 1
        else:
            if counts[N_NAN] == 0:
                counts[FIRST_NAN] = start + i
            counts[N_NAN] += 1
            if w is not None:
                add(left_out, w[w_at + i])


@intrinsic
def ends(typing, values, at, n, above):
    """(smallest, largest, smallest that is larger than ``above``) of n >= LANES values as float64; NaN aside, infinite if there is none."""

    def emit(context, builder, signature, arguments):
        *tile, above = arguments
        tile, above = Tile(context, builder, signature.args[0], *tile), Number(builder, above)
        above = splat(above if tile.element == DOUBLE else above.narrowed())
        starts = [Number(builder, constant(tile.kind, start)) for start in (np.inf, -np.inf, np.inf)]
        smallest, largest, beyond = map(Variable, starts)

        def lower(a, b):
            return (a < b).select(a, b)

        def higher(a, b):
            return (a > b).select(a, b)

        def step(x):
            smallest.set(lower(x, smallest.get()))
            largest.set(higher(x, largest.get()))
            beyond.set(lower((x > above).select(x, starts[0]), beyond.get()))

        tile.cover(step)
        found = reduced(smallest.get(), lower), reduced(largest.get(), higher), reduced(beyond.get(), lower)
        return context.make_tuple(builder, signature.return_type, [end.widened().value for end in found])

    return types.UniTuple(types.float64, 3)(values, at, n, above), emit
