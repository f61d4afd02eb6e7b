"""The vocabulary of formulas as LLVM code without a branch, for Numba: the methods and coefficients of kernels/vecmath*.h.

Why each step is as it is, where the polynomials come from and what the errors are is said there, function by function. What both
precisions share stands here once, in Vocabulary; vecmath64.py and vecmath32.py add their numbers and the few methods that differ.
"""

import math

from llvmlite import ir

from fastloss.compiler.llvm import Number, constant, has_fma

INF, NAN = math.inf, math.nan


def fma(a, b, c):
    """a * b + c, rounded once where the processor can."""
    return a.call("llvm.fma", b, c) if has_fma() else a * b + c


def polynomial(x, coefficients):
    """Horner's scheme, the highest power first."""
    first, second, *rest = coefficients
    q = fma(x, first, second)
    for coefficient in rest:
        q = fma(q, x, coefficient)
    return q


def two_prod_tail(a, b, product):
    """a * b - product: what rounding the product of two doubles lost."""
    if has_fma():
        return fma(a, b, -product)
    a1, b1 = ((x.bits() & 0xFFFFFFFFF8000000).number() for x in (a, b))
    a2, b2 = a - a1, b - b1
    return ((a1 * b1 - product) + a1 * b2 + a2 * b1) + a2 * b2


def hexadecimal(text):
    return tuple(map(float.fromhex, text.split()))


class Vocabulary:
    """The functions of numbers of one precision, or of vectors of so many of them, emitted through one builder."""

    def __init__(self, builder, lanes=None):
        self.builder, self.lanes = builder, lanes
        self.kind = self.real if lanes is None else ir.VectorType(self.real, lanes)

    def number(self, value):
        return Number(self.builder, constant(self.kind, value))

    def power_of_two(self, biased):
        """2**(biased - bias); bits above the exponent's own are shifted out."""
        return (biased << self.fraction).number()

    def abs(self, x):
        return x.call("llvm.fabs")

    def sqrt(self, x):
        return x.call("llvm.sqrt")

    def copysign(self, x, sign):
        return x.call("llvm.copysign", sign)

    def min(self, a, b):
        b = a.made(a.of(b))
        return (b < a).select(b, a)

    def max(self, a, b):
        b = a.made(a.of(b))
        return (b > a).select(b, a)

    # exp: x = n ln 2 + w + c

    def reduced(self, clamped, shift, lo=-0.0):
        """(t, w, c): n stands in the low bits of t, plus what shift holds beyond 1.5 * 2**fraction."""
        t = fma(clamped, self.log2_e, shift)
        return t, *self.remainder(clamped, t - shift, lo)

    def remainder(self, clamped, n, lo=-0.0):
        return fma(n, -self.ln2_hi, clamped), fma(n, -self.ln2_lo, lo)

    def exp_tail(self, w, c):
        x = w + c
        return fma(x * x, polynomial(x, self.exp_coefficients), c)

    def exp_mantissa(self, w, c):
        p = 1.0 + w
        return p + (((1.0 - p) + w) + self.exp_tail(w, c))

    def exp_sum(self, x, lo):
        clamped = self.max(self.min(x, self.exp_top), self.exp_bottom)
        t, w, c = self.reduced(clamped, self.round + 2 * self.bias, lo)
        n = t.bits()
        half = n >> 1
        return self.exp_mantissa(w, c) * self.power_of_two(half) * self.power_of_two(n - half)

    def exp(self, x):
        return self.exp_sum(x, -0.0)

    def exp_neg(self, x, lo=-0.0):
        """exp of x + lo <= 0, lo next to nothing."""
        t, w, c = self.reduced(self.max(x, self.exp_bottom), self.round + self.bias + self.exp_lift, lo)
        return self.exp_mantissa(w, c) * self.power_of_two(t.bits()) * 2.0**-self.exp_lift

    def half_expm1(self, scale, w, tail):
        a, b = scale - 0.5, scale * w
        hi = a + b
        return hi, fma(scale, tail, ((scale - a) - 0.5) + (b - (hi - a)))

    def expm1(self, x):
        t, w, c = self.reduced(self.max(self.min(x, self.exp_top), self.expm1_bottom), self.round + self.bias - 1)
        hi, lo = self.half_expm1(self.power_of_two(t.bits()), w, self.exp_tail(w, c))
        return (self.abs(x) < self.tiny).select(x, 2.0 * (hi + lo))

    def expm1mx(self, x):
        shift = self.round + self.bias - 1
        below = self.min(x, self.exp_top)
        clamped = self.max(below, self.expm1_bottom)
        t = (self.abs(x) < 0.5).select(shift, fma(clamped, self.log2_e, shift))
        w, c = self.remainder(clamped, t - shift)
        v = w + c
        h = 0.5 * v
        q = polynomial(v, self.expm1mx_coefficients)
        hi, lo = self.half_expm1(self.power_of_two(t.bits()), w, fma(h, v, fma(v * v, q * v, c)))
        return 2.0 * ((hi - 0.5 * below) + lo)

    # log: x = 2**k (1 + f)

    def unbias(self, exponent, bias):
        """A small non-negative integer, less a bias, as a number."""
        magic = 2.0**self.fraction
        return (exponent | self.number(magic).bits()).number() - (magic + bias)

    def log_sum(self, k, f):
        hi = fma(k, self.ln2_hi, f)
        lost = f - fma(k, -self.ln2_hi, hi)
        return hi + self.log_tail(f, fma(k, self.ln2_lo, lost))

    def normal(self, x):
        """(is x subnormal, the bits of x or of x lifted out of there)"""
        subnormal = x < 2.0 ** (1 - self.bias)
        return subnormal, subnormal.select(x * 2.0**self.log_lift, x).bits()

    def log_edges(self, x, low, y):
        """y for x above low; at low minus infinity, below it NaN."""
        return (x > low).select(y, x.equals(low).select(self.number(-INF), NAN))

    def log(self, x):
        subnormal, bits = self.normal(x)
        bits = bits + self.log_offset
        k = self.unbias(bits >> self.fraction, subnormal.select(self.number(self.bias + self.log_lift), self.bias))
        m = ((bits & self.mantissa) + self.three_quarters).number()
        return (x < INF).select(self.log_edges(x, 0.0, self.log_sum(k, m - 1.0)), x)

    def log1p_split(self, x, keep):
        exponent = ((1.0 + x).bits() + (self.log_offset - 1)) >> self.fraction
        exponent = keep.select(self.bias, exponent)
        scale = 0.25 * self.power_of_two(2 * self.bias + 2 - exponent)
        return self.unbias(exponent, self.bias), fma(x, scale, -(1.0 - scale))

    def log1p(self, x):
        y = self.log_edges(x, -1.0, self.log_sum(*self.log1p_split(x, self.abs(x) <= 0.25)))
        return ((x < INF) & x.compare("!=", 0.0)).select(y, x)

    def log1p_unit(self, e):
        """log1p of e in [0, 1]."""
        large = e > 0.5
        f = large.select(0.5 * e - 0.5, e)
        hi, lo = (large.select(self.number(part), 0.0) for part in (self.ln2_hi, self.ln2_lo))
        return hi + (f + self.log_tail(f, lo))

    def log1p_difference(self, a, b):
        low, high = self.min(a, b), self.max(a, b)
        e, s = self.abs(a - b), 1.0 + low
        v = e - high
        e_lost, s_lost = (high - (e - v)) - (low + v), self.min(low, 1.0) - (s - self.max(low, 1.0))
        huge = e > self.huge
        lowered = huge & (s < 1.0)
        t = lowered.select(s * 2.0**self.huge_lift, s)
        x = e / t
        n = huge.select(0.0, self.product_rest(e, x, t) + fma(-x, s_lost, e_lost))
        k, f = self.log1p_split(x, x < 0.0)
        k = k + lowered.select(self.number(self.huge_lift), 0.0)
        hi = fma(k, self.ln2_hi, f)
        lost = f - fma(k, -self.ln2_hi, hi)
        y = hi + self.log_tail(f, fma(k, self.ln2_lo, lost + n / (s + e)))
        y = (s >= 0.0).select((x < INF).select(y, x), NAN)
        return (a < b).select(-y, y)

    def log1pmx(self, x):
        k, f = self.log1p_split(x, self.abs(x) <= 0.4)
        s = f / (2.0 + f)
        z, h = s * s, 0.5 * f
        q = polynomial(z, self.log1pmx_coefficients)
        y = fma(-h, f, fma(s, fma(z, q, h * f), k * self.ln2_lo))
        y = (fma(k, self.ln2_hi, -x) + f) + y
        return (x < INF).select(self.log_edges(x, -1.0, y), -x)

    def kl_div(self, a, b):
        e = self.max(a, b).bits() & (2 * self.bias - 2 << self.fraction)
        scale, unscale = ((2 * self.bias - 1 << self.fraction) - e).number(), (e + (1 << self.fraction)).number()
        x, w = self.max(a * scale, self.beside_one), b * scale
        small, j = self.normal(b)
        i = x.bits()
        more = (i - j) & self.mantissa
        n = (j & self.mantissa) | self.number(1.0).bits()
        m1, m2, v = (n + more).number(), n.number(), (i - more).number()
        k = self.unbias((i - j + e) >> self.fraction, small.select(self.number(self.bias - 1 - self.log_lift), self.bias - 1))
        high = m1 > 1.4427 * m2
        m1, v, k = high.select(0.5 * m1, m1), high.select(2.0 * v, v), high.select(k + 1.0, k)
        s = (m1 - m2) / (m1 + m2)
        z, d = s * s, v - w
        t = d - v
        d_lost = (v - (d - t)) - (w + t)
        y = fma(x, fma(s * z, polynomial(z, self.atanh_coefficients), k * self.ln2_lo), -d_lost)
        y = fma(x - v, s, y) - self.product_rest(d, x, k * self.ln2_hi)
        y = self.abs(y * unscale)
        y = (self.abs(a - b).equals(INF) | (b.equals(0.0) & (a > 0.0))).select(self.number(INF), y)
        return (self.min(a, b) < 0.0).select(self.number(NAN), y)

    # the logistic family

    def decay(self, x):
        return self.exp_neg(-self.abs(x))

    def softplus(self, x):
        return (x > 0.0).select(x, 0.0) + self.log1p_unit(self.decay(x))

    def sigmoid(self, x):
        e = self.decay(x)
        y = (x >= 0.0).select(1.0, e) / (1.0 + e)
        return (x < -1.4).select(fma(-e, y, e), y)

    def tanh(self, x):
        a = self.abs(x)
        t, w, c = self.reduced(2.0 * self.min(a, self.tanh_top), self.round + self.bias - 1)
        hi, lo = self.half_expm1(self.power_of_two(t.bits()), w, self.exp_tail(w, c))
        h = hi + lo
        h_lo = lo - (h - hi)
        d = 1.0 + h
        lost = ((1.0 - d) + h) + h_lo
        y = (h + fma(-self.min(h, 0.5), lost, h_lo)) / d
        return self.copysign((a < self.tiny).select(a, y), x)
