"""The float64 half of vecmath.py, as kernels/vecmath64.h has it."""

from fastloss.compiler.llvm import DOUBLE, has_fma
from fastloss.compiler.vecmath import INF, NAN, Vocabulary, fma, hexadecimal, polynomial, two_prod_tail


class Double(Vocabulary):
    """The vocabulary of double."""

    real, fraction, bias = DOUBLE, 52, 1023
    round = 1.5 * 2.0**52
    log2_e, ln2_hi, ln2_lo = hexadecimal("0x1.71547652b82fep+0 0x1.62e42fefa38p-1 0x1.ef35793c76730p-45")
    exp_top, exp_bottom, exp_lift, expm1_bottom, tanh_top, tiny = 710.0, -746.0, 100, -40.0, 20.0, 2.0**-54
    log_lift, log_offset, mantissa, three_quarters = 54, 0x0008000000000000, 0x000FFFFFFFFFFFFF, 0x3FE8000000000000

    exp_coefficients = hexadecimal(
        "0x1.1eed07e416f37p-29 0x1.af6e64c2a1ca1p-26 0x1.27e533a603901p-22 0x1.71ddee81e5299p-19 0x1.a01a017d44946p-16 "
        "0x1.a01a01b43f6dep-13 0x1.6c16c16c1e5c7p-10 0x1.111111110ea04p-7 0x1.5555555555544p-5 0x1.555555555555cp-3 0x1p-1"
    )
    expm1mx_coefficients = hexadecimal(
        "0x1.602918e9b05a2p-33 0x1.2017dc79dddb1p-29 0x1.ae66d6538049ap-26 0x1.27e4578e2fc46p-22 0x1.71de38d2d5517p-19 "
        "0x1.a01a01f1eb429p-16 0x1.a01a01a0dc76ep-13 0x1.6c16c16c04e6dp-10 0x1.1111111110e84p-7 0x1.555555555557ep-5 "
        "0x1.5555555555556p-3"
    )
    atanh_coefficients = hexadecimal(
        "0x1.16cc681fdaed8p-3 0x1.0e8527617ddf4p-3 0x1.3b2a3dbb63428p-3 0x1.745ca8f34cb5p-3 0x1.c71c72ed13ap-3 "
        "0x1.24924923cfddfp-2 0x1.9999999999ffp-2 0x1.5555555555555p-1"
    )
    log1pmx_coefficients = hexadecimal(
        "0x1.15fe39b5fc016p-3 0x1.d3015c1c9a2a2p-4 0x1.11871d7c4a904p-3 0x1.3b0f8c49ab18p-3 0x1.745d2c4b8f3bbp-3 "
        "0x1.c71c718fd4fa8p-3 0x1.24924924aeb6fp-2 0x1.99999999999d5p-2 0x1.5555555555555p-1"
    )
    log_pair_coefficients = hexadecimal(
        "0x1.da90000729459p-4 0x1.e01b9e2a1cd4cp-4 0x1.11154601f4abdp-3 0x1.3b13aa0342a95p-3 0x1.745d173c57417p-3 "
        "0x1.c71c71c74d1cp-3 0x1.24924924922fcp-2 0x1.999999999999ap-2"
    )

    def log_tail(self, f, extra):
        s = f / (2.0 + f)
        z, h = s * s, 0.5 * f
        return fma(-h, f, fma(s, fma(z, polynomial(z, self.atanh_coefficients), h * f), extra))

    huge, huge_lift, beside_one = 2.0**960, 60, 2.0**-70

    def product_rest(self, c, a, b):
        """c - a * b: where a * b is within a factor of two of c, rounded once."""
        if has_fma():
            return fma(-a, b, c)
        product = a * b
        return (c - product) - two_prod_tail(a, b, product)

    def exp_with(self, p, lost):
        """exp(p + lost), p a product and lost what its rounding lost."""
        return self.exp_sum(p, (self.abs(p) < 800.0).select(lost, 0.0))

    def exp_product(self, a, b):
        p = a * b
        return self.exp_with(p, two_prod_tail(a, b, p))

    def log_ratio(self, a, b):
        small_a, i = self.normal(a)
        small_b, j = self.normal(b)
        one = self.number(1.0).bits()
        m1, m2 = (((bits & self.mantissa) | one).number() for bits in (i, j))
        lifts = (small.select(self.number(self.log_lift), 0.0) for small in (small_a, small_b))
        k1, k2 = (self.unbias(bits >> self.fraction, lift) for bits, lift in zip((i, j), lifts, strict=True))
        high, low = m1 > 1.4375 * m2, m2 > 1.4375 * m1
        n1, n2 = low.select(2.0 * m1, m1), high.select(2.0 * m2, m2)
        k = (k1 - k2) + high.select(1.0, low.select(self.number(-1.0), 0.0))
        s = (n1 - n2) / (n1 + n2)
        z = s * s
        hi = fma(k, self.ln2_hi, 2.0 * s)
        lost = 2.0 * s - fma(k, -self.ln2_hi, hi)
        y = hi + fma(s * z, polynomial(z, self.atanh_coefficients), fma(k, self.ln2_lo, lost))
        special = self.log_special(a) - self.log_special(b)
        return special.equals(0.0).select(y, special)

    def log_special(self, x):
        """log's value where it is a special one, else 0."""
        return (x > 0.0).select((x < INF).select(0.0, x), x.equals(0.0).select(self.number(-INF), NAN))

    def log_pair(self, x):
        """log x as a sum of two."""
        subnormal, bits = self.normal(x)
        bits = bits + 0x00095F619980C433
        k = self.unbias(bits >> self.fraction, subnormal.select(self.number(self.bias + self.log_lift), self.bias))
        f = ((bits & self.mantissa) + 0x3FE6A09E667F3BCD).number() - 1.0
        # s = f / (2 + f)
        d = 2.0 + f
        d_lo, inverse = (2.0 - d) + f, 1.0 / d
        s = f * inverse
        sd = s * d
        s_lo = inverse * (((f - sd) - two_prod_tail(s, d, sd)) - s * d_lo)
        # c = 2/3 + z (2/5 + ...), z = s**2
        z = s * s
        z_lo = fma(2.0 * s, s_lo, two_prod_tail(s, s, z))
        q = polynomial(z, self.log_pair_coefficients) * z
        c = 2 / 3 + q
        c_lo = ((2 / 3 - c) + q) + float.fromhex("0x1.5555555555555p-55")
        # v = s z c
        u = z * c
        u_lo = two_prod_tail(z, c, u) + fma(z, c_lo, z_lo * c)
        v = s * u
        v_lo = two_prod_tail(s, u, v) + fma(s, u_lo, s_lo * u)
        # k ln 2 + 2 s + v, largest first
        h = k * self.ln2_hi
        h1 = h + 2.0 * s
        h2 = h1 + v
        lo = (2.0 * s - (h1 - h)) + (v - (h2 - h1)) + (fma(k, self.ln2_lo, v_lo) + 2.0 * s_lo)
        hi = h2 + lo
        return (x < INF).select(self.log_edges(x, 0.0, hi), x), lo - (hi - h2)

    def pow(self, x, y):
        hi, lo = self.log_pair(x)
        p = y * hi
        e = self.exp_with(p, fma(y, lo, two_prod_tail(y, hi, p)))
        return (y.equals(0.0) | x.equals(1.0)).select(1.0, e)

    # for Single's functions of two arguments: to about 2**-30, for float32 results and no subnormal argument

    exp_short_coefficients = hexadecimal(
        "0x1.6a24104d43f4dp-10 0x1.1239f82088f18p-7 0x1.5558f202dede9p-5 0x1.55549137cad37p-3 0x1.fffffb99636ffp-2"
    )
    log_short_coefficients = hexadecimal(
        "0x1.95c0eb704df77p-3 0x1.c5eb9bb43114cp-3 0x1.24947b9b75265p-2 0x1.999996c610275p-2 0x1.555555559f9ecp-1"
    )

    def exp_short(self, x):
        shift = self.round + self.bias
        clamped = self.max(self.min(x, 100.0), -110.0)
        t = fma(clamped, self.log2_e, shift)
        n = t - shift
        r = fma(n, -self.ln2_lo, fma(n, -self.ln2_hi, clamped))
        return (1.0 + fma(r * r, polynomial(r, self.exp_short_coefficients), r)) * self.power_of_two(t.bits())

    def log_short(self, x):
        bits = x.bits() + self.log_offset
        k = self.unbias(bits >> self.fraction, self.bias)
        f = ((bits & self.mantissa) + self.three_quarters).number() - 1.0
        s = f / (2.0 + f)
        z = s * s
        y = fma(k, self.ln2_hi, s * fma(z, polynomial(z, self.log_short_coefficients), 2.0))
        return (x < INF).select(self.log_edges(x, 0.0, y), x)
