"""The float32 half of vecmath.py, as kernels/vecmath32.h has it: functions of two arguments go through float64."""

from fastloss.compiler.llvm import FLOAT
from fastloss.compiler.vecmath import Vocabulary, fma, hexadecimal, polynomial
from fastloss.compiler.vecmath64 import Double


class Single(Vocabulary):
    """The vocabulary of float."""

    real, fraction, bias = FLOAT, 23, 127
    round = 1.5 * 2.0**23
    log2_e, ln2_hi, ln2_lo = hexadecimal("0x1.715476p+0 0x1.62e4p-1 0x1.7f7d1cp-20")
    exp_top, exp_bottom, exp_lift, expm1_bottom, tanh_top, tiny = 89.0, -104.0, 30, -20.0, 10.0, 2.0**-25
    log_lift, log_offset, mantissa, three_quarters = 24, 0x00400000, 0x007FFFFF, 0x3F400000

    exp_coefficients = hexadecimal("0x1.694cbap-10 0x1.123984p-7 0x1.555a26p-5 0x1.555492p-3 0x1.fffffap-2")
    expm1mx_coefficients = hexadecimal("0x1.a07872p-16 0x1.a2a76ep-13 0x1.6c1824p-10 0x1.110fc6p-7 0x1.555554p-5 0x1.555556p-3")
    log_coefficients = hexadecimal(
        "-0x1.721d3ep-5 0x1.ad4188p-4 -0x1.0db586p-3 0x1.28852ep-3 -0x1.54eb54p-3 0x1.9968fp-3 -0x1.00004ep-2 0x1.5555a6p-2 -0x1p-1"
    )
    log1pmx_coefficients = hexadecimal("0x1.fa8208p-3 0x1.23808cp-2 0x1.999d5ep-2 0x1.555554p-1")
    atanh_coefficients = log1pmx_coefficients

    def log_tail(self, f, extra):
        return fma(f * f, polynomial(f, self.log_coefficients), extra)

    huge, huge_lift, beside_one = 2.0**100, 30, 2.0**-40

    def product_rest(self, c, a, b):
        return (c.widened() - a.widened() * b.widened()).narrowed()

    def exp_product(self, a, b):
        return Double(self.builder, self.lanes).exp_short(a.widened() * b.widened()).narrowed()

    def log_ratio(self, a, b):
        return Double(self.builder, self.lanes).log_short(a.widened() / b.widened()).narrowed()

    def pow(self, x, y):
        wide = Double(self.builder, self.lanes)
        e = wide.exp_short(y.widened() * wide.log_short(x.widened())).narrowed()
        return (y.equals(0.0) | x.equals(1.0)).select(1.0, e)
