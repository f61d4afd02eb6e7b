/* float64 half of vecmath.h, which says what holds for all of it. */
#ifndef FASTLOSS_VECMATH64_H
#define FASTLOSS_VECMATH64_H

#define FL_INF __builtin_inf()
#define FL_NAN __builtin_nan("")

#define FL_LOG2_E 0x1.71547652b82fep+0
/* ln 2 in two parts. The first has 42 bits, so that its product with any exponent (11 bits) is exact, fused or not. */
#define FL_LN2_HI 0x1.62e42fefa38p-1
#define FL_LN2_LO 0x1.ef35793c76730p-45

/* Adding 3 * 2^51 leaves no room for a fraction: the sum is rounded to an integer, and that integer stands in its low bits. This
 * replaces both rint and the float-to-integer conversion, which for 64 bits exists only in AVX-512. */
#define FL_ROUND 0x1.8p+52

/* An unevaluated sum. */
typedef struct { double hi, lo; } fl_pair;

/* ==== exp ===================================================================================================================
 *
 * Every exponential is exp(x) = 2^n exp(r) with n = rint(x / ln 2), r = x - n ln 2 and |r| <= ln(2)/2.
 *
 * r is w + c: w = x - n ln2_hi is exact, c = -n ln2_lo is tiny. The polynomial is content with their rounded sum; the leading terms
 * 1 + r are not, and are built from w and c. */

typedef struct { double w, c; } fl_remainder;

/* of x + lo, given n */
FL_INLINE fl_remainder fl_exp_remainder(double x, double lo, double n)
{
    fl_remainder r;
    r.w = fl_fma(n, -FL_LN2_HI, x);
    r.c = fl_fma(n, -FL_LN2_LO, lo);
    return r;
}

/* exp(r) - 1 - w. Sollya: fpminimax(exp(x), [|2,...,12|], [|D...|], [-ln2/2; ln2/2], relative, 1 + x); error 2^-63.5 of exp(r). */
FL_INLINE double fl_exp_tail(fl_remainder r)
{
    double x = r.w + r.c, q;
    double x2 = x * x, even = 0x1.1eed07e416f37p-29, odd = 0x1.af6e64c2a1ca1p-26;
    even = fl_fma(even, x2, 0x1.27e533a603901p-22);
    even = fl_fma(even, x2, 0x1.a01a017d44946p-16);
    even = fl_fma(even, x2, 0x1.6c16c16c1e5c7p-10);
    even = fl_fma(even, x2, 0x1.5555555555544p-5);
    even = fl_fma(even, x2, 0x1p-1);
    odd = fl_fma(odd, x2, 0x1.71ddee81e5299p-19);
    odd = fl_fma(odd, x2, 0x1.a01a01b43f6dep-13);
    odd = fl_fma(odd, x2, 0x1.111111110ea04p-7);
    odd = fl_fma(odd, x2, 0x1.555555555555cp-3);
    q = fl_fma(odd, x, even);
    return fl_fma(x * x, q, r.c);
}

/* exp(r): 1 + w with the part that its rounding lost (exact, as |w| < 1), so that only the last sum rounds at full size. */
FL_INLINE double fl_exp_mantissa(fl_remainder r)
{
    double p = 1.0 + r.w;
    return p + (((1.0 - p) + r.w) + fl_exp_tail(r));
}

/* exp(x + lo), |lo| <= 2^-43. The powers of two come in two halves because 2^n itself leaves the range at both ends: the
 * first product is exact, so a subnormal result is rounded once. NaN passes through the multiplications; the bounds lie just
 * beyond overflow and beyond half the smallest subnormal. */
FL_INLINE double fl_exp_sum(double x, double lo)
{
    const double shift = FL_ROUND + 2 * 1023;
    double c = fl_max(fl_min(x, 710.0), -746.0);
    double t = fl_fma(c, FL_LOG2_E, shift);
    double p = fl_exp_mantissa(fl_exp_remainder(c, lo, t - shift));
    uint64_t n = fl_bits(t), half = n >> 1; /* the shifts by 52 keep 12 bits of these: n/2 + 1023, rounded down and up */
    return p * fl_from_bits(half << 52) * fl_from_bits((n - half) << 52);
}

FL_INLINE double fl_exp(double x) { return fl_exp_sum(x, -0.0); }

/* exp(x) for x <= 0 (or NaN), the only case a softplus, a sigmoid or a softmax has. With one end of the range gone, 2^n with 100
 * added to n is always normal, and one multiplication undoes the 100 and rounds into the subnormals.
 * Sollya: as fl_exp_tail, powers 2 to 11; error 2^-57.9. */
FL_INLINE double fl_exp_neg(double x)
{
    const double shift = FL_ROUND + 1023 + 100;
    double c = fl_max(x, -746.0);
    double t = fl_fma(c, FL_LOG2_E, shift), n = t - shift;
    double w = fl_fma(n, -FL_LN2_HI, c), r = fl_fma(n, -FL_LN2_LO, w);
    double r2 = r * r, even = 0x1.28adf7b4cc4b2p-22, odd = 0x1.ad92c5d9cb043p-26;
    even = fl_fma(even, r2, 0x1.a0199963bc0cbp-16);
    even = fl_fma(even, r2, 0x1.6c16c18475a3ep-10);
    even = fl_fma(even, r2, 0x1.55555555506cp-5);
    even = fl_fma(even, r2, 0x1.000000000000ap-1);
    odd = fl_fma(odd, r2, 0x1.71df18fd0c7a2p-19);
    odd = fl_fma(odd, r2, 0x1.a01a012febae5p-13);
    odd = fl_fma(odd, r2, 0x1.1111111126b38p-7);
    odd = fl_fma(odd, r2, 0x1.55555555554fep-3);
    double q = fl_fma(odd, r, even);
    double p = 1.0 + w;
    p += ((1.0 - p) + w) + fl_fma(r2, q, n * -FL_LN2_LO);
    return p * fl_from_bits(fl_bits(t) << 52) * 0x1p-100;
}

/* exp(a*b). Rounding a*b = 700 alone costs exp 500 units in the last place; the lost part is computed and carried along. */
FL_INLINE double fl_exp_product(double a, double b)
{
    double p = a * b;
    double lost = fl_two_prod_tail(a, b, p);
    return fl_exp_sum(p, fl_abs(p) < 800.0 ? lost : 0.0); /* out there the result is 0 or inf, and lost may be NaN */
}

/* ==== expm1 =================================================================================================================
 *
 * exp(x) - 1 = (2^n - 1) + 2^n w + 2^n (exp(r) - 1 - w). The first two nearly cancel around |x| = ln 2, so their sum keeps its
 * rounding errors. All is halved, since 2^n overflows for the last n. */

/* scale exp(r) - 1/2 as a sum of two, the second smaller but not small; scale = 2^(n-1), tail = exp(r) - 1 - w */
FL_INLINE fl_pair fl_half_expm1(double scale, double w, double tail)
{
    double a = scale - 0.5, b = scale * w;
    fl_pair y;
    y.hi = a + b;
    y.lo = fl_fma(scale, tail, ((scale - a) - 0.5) + (b - (y.hi - a))); /* both sums' losses, exact as |a| >= |b| or a = 0 */
    return y;
}

FL_INLINE double fl_expm1(double x)
{
    const double shift = FL_ROUND + 1022;
    double c = fl_max(fl_min(x, 710.0), -40.0);
    double t = fl_fma(c, FL_LOG2_E, shift);
    fl_remainder r = fl_exp_remainder(c, -0.0, t - shift);
    fl_pair y = fl_half_expm1(fl_from_bits(fl_bits(t) << 52), r.w, fl_exp_tail(r));
    return fl_abs(x) < 0x1p-54 ? x : 2.0 * (y.hi + y.lo); /* x itself: subnormals would lose a bit to the halving, -0 its sign */
}

/* expm1(x) - x. The textbook difference loses all digits as x -> 0, where the result is x*x/2. For |x| < 1/2, n is held at 0, the
 * first two terms of expm1 then cancel x exactly and the polynomial alone remains; beyond, nothing cancels badly. The polynomial
 * must be accurate relative to x^2, on a wider interval than exp's.
 * Sollya: fpminimax((exp(x)-1-x)/x^2, 11, [|D...|], [-1/2; 1/2], relative); error 2^-57.6. */
FL_INLINE double fl_expm1mx(double x)
{
    const double shift = FL_ROUND + 1022;
    double below = fl_min(x, 710.0), c = fl_max(below, -40.0);
    double t = fl_abs(x) < 0.5 ? shift : fl_fma(c, FL_LOG2_E, shift);
    fl_remainder r = fl_exp_remainder(c, -0.0, t - shift);
    fl_pair y;
    double v = r.w + r.c, h = 0.5 * v, q;
    double v2 = v * v, even = 0x1.602918e9b05a2p-33, odd = 0x1.2017dc79dddb1p-29;
    even = fl_fma(even, v2, 0x1.ae66d6538049ap-26);
    even = fl_fma(even, v2, 0x1.71de38d2d5517p-19);
    even = fl_fma(even, v2, 0x1.a01a01a0dc76ep-13);
    even = fl_fma(even, v2, 0x1.1111111110e84p-7);
    even = fl_fma(even, v2, 0x1.5555555555556p-3);
    odd = fl_fma(odd, v2, 0x1.27e4578e2fc46p-22);
    odd = fl_fma(odd, v2, 0x1.a01a01f1eb429p-16);
    odd = fl_fma(odd, v2, 0x1.6c16c16c04e6dp-10);
    odd = fl_fma(odd, v2, 0x1.555555555557ep-5);
    q = fl_fma(odd, v, even);
    y = fl_half_expm1(fl_from_bits(fl_bits(t) << 52), r.w, fl_fma(h, v, fl_fma(v * v, q * v, r.c)));
    return 2.0 * ((y.hi - 0.5 * below) + y.lo);
}

/* ==== log ===================================================================================================================
 *
 * Every logarithm is log(x) = k ln 2 + log(1 + f) with x = 2^k (1 + f), 1 + f in [3/4, 3/2). */

/* (2 atanh(s) - 2s)/s^3 = 2/3 + 2/5 z + 2/7 z^2 ..., z = s^2 <= 0.04.
 * Sollya: fpminimax(that series, 7, [|D...|], [0; 0.04], relative); error 2^-60.8 of 2 atanh(s). */
FL_INLINE double fl_atanh_series(double z)
{
    double q;
    double z2 = z * z, even = 0x1.0e8527617ddf4p-3, odd = 0x1.16cc681fdaed8p-3;
    even = fl_fma(even, z2, 0x1.745ca8f34cb5p-3);
    even = fl_fma(even, z2, 0x1.24924923cfddfp-2);
    even = fl_fma(even, z2, 0x1.5555555555555p-1);
    odd = fl_fma(odd, z2, 0x1.3b2a3dbb63428p-3);
    odd = fl_fma(odd, z2, 0x1.c71c72ed13ap-3);
    odd = fl_fma(odd, z2, 0x1.9999999999ffp-2);
    return fl_fma(odd, z, even);
}

/* log(1 + f) - f + extra, for f in [-1/4, 1/2]. With s = f/(2 + f), log(1 + f) = 2 atanh(s) = 2s + s z q(z): a series in z = s^2
 * converges three times as fast as one in f, which pays for the division. But 2s is rounded and f is not, so f is put in its place:
 * 2s = f - s f = f - f^2/2 + s f^2/2, of which f^2/2 is the largest term not yet in the caller's hands and is added last. */
FL_INLINE double fl_log_tail(double f, double extra)
{
    double s = f / (2.0 + f), z = s * s, h = 0.5 * f;
    return fl_fma(-h, f, fl_fma(s, fl_fma(z, fl_atanh_series(z), h * f), extra));
}

/* k ln 2 + log(1 + f). k ln2_hi + f is rounded; the part it lost is fetched back (exactly) before the small terms are added. */
FL_INLINE double fl_log_sum(double k, double f)
{
    double hi = fl_fma(k, FL_LN2_HI, f);
    double lost = f - fl_fma(k, -FL_LN2_HI, hi);
    return hi + fl_log_tail(f, fl_fma(k, FL_LN2_LO, lost));
}

/* bits(1) - bits(3/4): added to the bits of x, it makes the exponent field the k above (biased), for 3/4 <= x/2^k < 3/2 */
#define FL_LOG_OFFSET 0x0008000000000000u
#define FL_MANTISSA 0x000fffffffffffffu

/* A small non-negative integer as a double: placed in the low bits of 2^52, which is then subtracted with the exponent's bias. */
FL_INLINE double fl_unbias(uint64_t e, double bias) { return fl_from_bits(e | 0x4330000000000000u) - (0x1p52 + bias); }

FL_INLINE double fl_log(double x)
{
    int subnormal = x < 0x1p-1022;
    uint64_t b = fl_bits(subnormal ? x * 0x1p54 : x) + FL_LOG_OFFSET;
    double k = fl_unbias(b >> 52, subnormal ? 1023.0 + 54.0 : 1023.0);
    double m = fl_from_bits((b & FL_MANTISSA) + 0x3fe8000000000000u);
    double y = fl_log_sum(k, m - 1.0);
    y = x > 0.0 ? y : (x == 0.0 ? -FL_INF : FL_NAN);
    return x < FL_INF ? y : x;
}

/* The same k for 1 + x, or 0 if told to keep f = x. The textbook log(1 + x) loses what 1 + x rounds away, which is all of a tiny x;
 * f = (1 + x)/2^k - 1 is formed from x itself, f = x 2^-k - (1 - 2^-k), of which only the last subtraction rounds. For k = 1 and -1
 * that is exact, if 1 + x was not rounded onto 3/2 or 3/4 from inside (-1/4, 1/2): the one is excluded by offset - 1, the other by
 * keep. */
typedef struct { double k, f; } fl_log1p_parts;

FL_INLINE fl_log1p_parts fl_log1p_split(double x, int keep)
{
    uint64_t e = keep ? 1023u : (fl_bits(1.0 + x) + (FL_LOG_OFFSET - 1)) >> 52;
    double scale = 0.25 * fl_from_bits((2048u - e) << 52); /* 2^-k through 2^(2-k): for k = 1024 it is subnormal */
    fl_log1p_parts y;
    y.k = fl_unbias(e, 1023.0);
    y.f = fl_fma(x, scale, -(1.0 - scale));
    return y;
}

FL_INLINE double fl_log1p(double x)
{
    fl_log1p_parts p = fl_log1p_split(x, fl_abs(x) <= 0.25);
    double y = fl_log_sum(p.k, p.f);
    y = x > -1.0 ? y : (x == -1.0 ? -FL_INF : FL_NAN);
    return ((x < FL_INF) & (x != 0.0)) ? y : x; /* 0: keeps the sign of -0 */
}

/* log1p(e) for e in [0, 1]: one polynomial, since one of 19 powers costs less here than a division and the choice of k. Its terms
 * alternate in sign; summed from the highest by Horner's rule they hardly cancel, in halves they would, so the last six go that way.
 * Sollya: fpminimax(log(1+x), [|2,...,21|], [|D...|], [2^-40; 1], relative, x); error 2^-56.5. */
FL_INLINE double fl_log1p_unit(double e)
{
    double z = e * e, even = -0x1.31f8cd7a6207ap-12, odd = 0x1.a9067c05a4c2ep-16;
    even = fl_fma(even, z, -0x1.6b4e60f2382acp-8);
    even = fl_fma(even, z, -0x1.b632818d739d7p-6);
    even = fl_fma(even, z, -0x1.d7115508cb8bp-5);
    even = fl_fma(even, z, -0x1.4b022086f55f2p-4);
    even = fl_fma(even, z, -0x1.98d296b9a7e37p-4);
    even = fl_fma(even, z, -0x1.fffa8bd00015p-4);
    odd = fl_fma(odd, z, 0x1.a25bf10450d3fp-10);
    odd = fl_fma(odd, z, 0x1.c57efadab199bp-7);
    odd = fl_fma(odd, z, 0x1.5a892cb8ffafap-5);
    odd = fl_fma(odd, z, 0x1.202df1e815f6cp-4);
    odd = fl_fma(odd, z, 0x1.712df6166ba31p-4);
    odd = fl_fma(odd, z, 0x1.c6f6a83b8b02fp-4);
    double q = fl_fma(odd, e, even);
    q = fl_fma(q, e, 0x1.2491fed9cfc49p-3);
    q = fl_fma(q, e, -0x1.55554fbe64ea4p-3);
    q = fl_fma(q, e, 0x1.99999951fb01bp-3);
    q = fl_fma(q, e, -0x1.fffffffdd4a4bp-3);
    q = fl_fma(q, e, 0x1.5555555551052p-2);
    q = fl_fma(q, e, -0x1.fffffffffff9fp-2);
    return fl_fma(z, q, e);
}

/* log1p(x) - x. The textbook difference loses all digits as x -> 0, where the result is -x*x/2. Here k ln2_hi - x + f comes first:
 * zero for k = 0, and otherwise of the sign of what follows, so that nothing cancels - provided that k is held at 0 down to -0.4.
 * What follows is log(1 + f) - f as in fl_log_tail, but with s from -1/4 to 1/5.
 * Sollya: fpminimax((2atanh(s)-2s)/s^3 as a series in s^2, 8, [|D...|], [0; 1/16], relative); error 2^-54, in a term that is at
 * most a twelfth of the result. */
FL_INLINE double fl_log1pmx(double x)
{
    fl_log1p_parts p = fl_log1p_split(x, fl_abs(x) <= 0.4);
    double s = p.f / (2.0 + p.f), z = s * s, h = 0.5 * p.f, y;
    double q;
    double z2 = z * z, even = 0x1.15fe39b5fc016p-3, odd = 0x1.d3015c1c9a2a2p-4;
    even = fl_fma(even, z2, 0x1.11871d7c4a904p-3);
    even = fl_fma(even, z2, 0x1.745d2c4b8f3bbp-3);
    even = fl_fma(even, z2, 0x1.24924924aeb6fp-2);
    even = fl_fma(even, z2, 0x1.5555555555555p-1);
    odd = fl_fma(odd, z2, 0x1.3b0f8c49ab18p-3);
    odd = fl_fma(odd, z2, 0x1.c71c718fd4fa8p-3);
    odd = fl_fma(odd, z2, 0x1.99999999999d5p-2);
    q = fl_fma(odd, z, even);
    y = fl_fma(-h, p.f, fl_fma(s, fl_fma(z, q, h * p.f), p.k * FL_LN2_LO));
    y = (fl_fma(p.k, FL_LN2_HI, -x) + p.f) + y;
    y = x > -1.0 ? y : (x == -1.0 ? -FL_INF : FL_NAN);
    return x < FL_INF ? y : -x;
}

#include "ratios64.h"

/* ==== Logistic family =======================================================================================================
 *
 * Both start from the same exp_neg(-|x|), which the compiler computes once where a loop needs both. */

/* exp(-|x|): what softplus and sigmoid share, for formulas that want it by itself. */
FL_INLINE double fl_decay(double x) { return fl_exp_neg(-fl_abs(x)); }

/* log(1 + exp(x)). The textbook form overflows for large x and rounds exp(x) away against 1 for negative x. */
FL_INLINE double fl_softplus(double x) { return (x > 0.0 ? x : 0.0) + fl_log1p_unit(fl_decay(x)); }

/* 1/(1 + exp(-x)), down to the subnormals. For small e the rounding of 1 + e weighs as much as that of e itself;
 * e/(1 + e) = e - e (e/(1 + e)) leaves it with a weight of e. */
FL_INLINE double fl_sigmoid(double x)
{
    double e = fl_decay(x);
    double y = (x >= 0.0 ? 1.0 : e) / (1.0 + e);
    return x < -1.4 ? fl_fma(-e, y, e) : y;
}

/* tanh |x| = h/(1 + h) with h = expm1(2|x|)/2 as a pair. Rounding d = 1 + h would cost a whole unit in the last place of small
 * results; its loss is moved into the numerator: h/(d + lost) = (h - lost h/d)/d, where min(h, 1/2) will do for h/d. */
FL_INLINE double fl_tanh(double x)
{
    const double shift = FL_ROUND + 1022;
    double a = fl_abs(x), c = 2.0 * fl_min(a, 20.0);
    double t = fl_fma(c, FL_LOG2_E, shift);
    fl_remainder r = fl_exp_remainder(c, -0.0, t - shift);
    fl_pair p = fl_half_expm1(fl_from_bits(fl_bits(t) << 52), r.w, fl_exp_tail(r));
    double h = p.hi + p.lo, h_lo = p.lo - (h - p.hi);
    double d = 1.0 + h, lost = ((1.0 - d) + h) + h_lo;
    double y = (h + fl_fma(-fl_min(h, 0.5), lost, h_lo)) / d;
    return fl_copysign(a < 0x1p-54 ? a : y, x);
}

#endif
