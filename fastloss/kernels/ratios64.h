/* Logarithms of ratios, float64: part of vecmath64.h, whose constants and series they use. */
#ifndef FASTLOSS_RATIOS64_H
#define FASTLOSS_RATIOS64_H

/* log(a/b) for a, b >= 0. The quotient may overflow, underflow or round the answer away; instead the exponents are subtracted, and
 * with mantissas m1, m2 within a factor 3/2 of each other, log(m1/m2) = 2 atanh(s) with s = (m1 - m2)/(m1 + m2). The difference is
 * exact, so this is accurate for a near b as well. */
FL_INLINE double fl_log_ratio(double a, double b)
{
    int small_a = a < 0x1p-1022, small_b = b < 0x1p-1022;
    uint64_t i = fl_bits(small_a ? a * 0x1p54 : a), j = fl_bits(small_b ? b * 0x1p54 : b);
    double m1 = fl_from_bits((i & FL_MANTISSA) | 0x3ff0000000000000u);
    double m2 = fl_from_bits((j & FL_MANTISSA) | 0x3ff0000000000000u);
    double k = fl_unbias(i >> 52, small_a ? 54.0 : 0.0) - fl_unbias(j >> 52, small_b ? 54.0 : 0.0);
    int high = m1 > 1.4375 * m2, low = m2 > 1.4375 * m1;
    double n1 = low ? 2.0 * m1 : m1, n2 = high ? 2.0 * m2 : m2;
    double s, z, hi, lost, y;
    k += high ? 1.0 : (low ? -1.0 : 0.0);
    s = (n1 - n2) / (n1 + n2);
    z = s * s;
    hi = fl_fma(k, FL_LN2_HI, 2.0 * s);
    lost = 2.0 * s - fl_fma(k, -FL_LN2_HI, hi);
    y = hi + fl_fma(s * z, fl_atanh_series(z), fl_fma(k, FL_LN2_LO, lost));
    /* anything but two positive finite numbers: the difference of log's special values is the answer */
    double p = a > 0.0 ? (a < FL_INF ? 0.0 : a) : (a == 0.0 ? -FL_INF : FL_NAN);
    double r = b > 0.0 ? (b < FL_INF ? 0.0 : b) : (b == 0.0 ? -FL_INF : FL_NAN);
    double special = p - r;
    return special == 0.0 ? y : special;
}

/* a log(a/b) - a + b for a, b >= 0: b where a = 0, 0 where a = b, elsewhere positive. As it stands it cancels, near a = b twice over.
 * With k and s as above and v = 2^k b, so that s = (a - v)/(a + v), it is
 *
 *     (a k ln2 - (v - b)) + (a - v) s + a (2 atanh(s) - 2s)
 *
 * since 2s a = (a - v)(1 + s). The second term is never negative, the third always small. The first is 0 for k = 0, and never negative
 * either if a/v stays between 1/(2 ln2) and 1/ln2: so nothing cancels but inside of it, where what rounding takes from v - b is kept
 * and a k ln2 is not rounded.
 *
 * All is scaled by a power of two, so that the larger of a and b is about 1. An a that is next to nothing beside b becomes a little more,
 * which shows in no digit; of a b that is next to nothing beside a, k is what counts, and that comes from b itself. */
FL_INLINE double fl_kl_div(double a, double b)
{
    uint64_t e = fl_bits(fl_max(a, b)) & 0x7fc0000000000000u; /* every fourth exponent: it and its negative exist */
    double scale = fl_from_bits(0x7fd0000000000000u - e), unscale = fl_from_bits(0x0010000000000000u + e);
    double x = fl_max(a * scale, 0x1p-70), w = b * scale;
    int small = b < 0x1p-1022;
    uint64_t i = fl_bits(x), j = fl_bits(small ? b * 0x1p54 : b), more = (i - j) & FL_MANTISSA;
    uint64_t n = (j & FL_MANTISSA) | 0x3ff0000000000000u;
    double m1 = fl_from_bits(n + more), m2 = fl_from_bits(n), v = fl_from_bits(i - more); /* m2 <= m1 < 2 m2: floor(log2) */
    double k = fl_unbias((i - j + e) >> 52, small ? 1022.0 - 54.0 : 1022.0);
    int high = m1 > 1.4427 * m2;
    m1 = high ? 0.5 * m1 : m1;
    v = high ? 2.0 * v : v;
    k = high ? k + 1.0 : k;
    double s = (m1 - m2) / (m1 + m2), z = s * s;
    double d = v - w, t = d - v, d_lost = (v - (d - t)) - (w + t);
    double y = fl_fma(x, fl_fma(s * z, fl_atanh_series(z), k * FL_LN2_LO), -d_lost);
    y = fl_fma(x - v, s, y) - fl_product_rest(d, x, k * FL_LN2_HI);
    y = fl_abs(y * unscale); /* of zeros the positive */
    y = (fl_abs(a - b) == FL_INF) | ((b == 0.0) & (a > 0.0)) ? FL_INF : y;
    return fl_min(a, b) < 0.0 ? FL_NAN : y;
}

/* log1p(a) - log1p(b) = log1p(x), x = (a - b)/(1 + b) for a >= b. Near a = b that loses nothing, but its three roundings would all
 * be in the result; what they lost is collected in n, as n/(1 + a) of the logarithm. Only b < 0 can make x overflow; it is lowered
 * by 2^60 then, where 1 + x is x. */
FL_INLINE double fl_log1p_difference(double a, double b)
{
    double low = fl_min(a, b), high = fl_max(a, b), e = fl_abs(a - b), v = e - high, s = 1.0 + low;
    double e_lost = (high - (e - v)) - (low + v), s_lost = fl_min(low, 1.0) - (s - fl_max(low, 1.0));
    int huge = e > 0x1p960, lowered = huge & (s < 1.0);
    double t = lowered ? s * 0x1p60 : s, x = e / t; /* a huge product of them may be infinite: no n then */
    double n = huge ? 0.0 : fl_product_rest(e, x, t) + fl_fma(-x, s_lost, e_lost);
    fl_log1p_parts p = fl_log1p_split(x, 0);
    double k = p.k + (lowered ? 60.0 : 0.0), hi = fl_fma(k, FL_LN2_HI, p.f), lost = p.f - fl_fma(k, -FL_LN2_HI, hi);
    double y = hi + fl_log_tail(p.f, fl_fma(k, FL_LN2_LO, lost + n / (s + e)));
    y = s >= 0.0 ? (x < FL_INF ? y : x) : FL_NAN;
    return a < b ? -y : y;
}

#endif
