/* pow in float64: the part of vecmath64.h that needs more than a double's digits of a logarithm. */
#ifndef FASTLOSS_POW64_H
#define FASTLOSS_POW64_H

/* log(x) to about 2^-65 of itself: exp(y log x) turns the relative error of log x into one of |y log x|, up to 745, times that. As
 * fl_log, with 1 + f in [sqrt(1/2), sqrt(2)), but s, s^2 and the first coefficient of the series are pairs.
 * Sollya: fpminimax((2atanh(s)-2s-2s^3/3)/s^5 as a series in s^2, 7, [|D...|], [0; 0.02945], relative); error 2^-54, which is
 * 2^-65 of the logarithm. */
FL_INLINE fl_pair fl_log_pair(double x)
{
    int subnormal = x < 0x1p-1022;
    uint64_t b = fl_bits(subnormal ? x * 0x1p54 : x) + 0x00095f619980c433u;
    double k = fl_unbias(b >> 52, subnormal ? 1023.0 + 54.0 : 1023.0);
    double f = fl_from_bits((b & FL_MANTISSA) + 0x3fe6a09e667f3bcdu) - 1.0;

    /* s = f / (2 + f) */
    double d = 2.0 + f, d_lo = (2.0 - d) + f, inverse = 1.0 / d;
    double s = f * inverse, sd = s * d;
    double s_lo = inverse * (((f - sd) - fl_two_prod_tail(s, d, sd)) - s * d_lo);

    /* c = 2/3 + z (2/5 + ...), z = s^2 */
    double z = s * s, z_lo = fl_fma(2.0 * s, s_lo, fl_two_prod_tail(s, s, z));
    double q = 0x1.da90000729459p-4, c, c_lo, u, u_lo, v, v_lo, h, h1, h2, lo;
    fl_pair y;
    q = fl_fma(q, z, 0x1.e01b9e2a1cd4cp-4);
    q = fl_fma(q, z, 0x1.11154601f4abdp-3);
    q = fl_fma(q, z, 0x1.3b13aa0342a95p-3);
    q = fl_fma(q, z, 0x1.745d173c57417p-3);
    q = fl_fma(q, z, 0x1.c71c71c74d1cp-3);
    q = fl_fma(q, z, 0x1.24924924922fcp-2);
    q = fl_fma(q, z, 0x1.999999999999ap-2);
    q = q * z;
    c = 0x1.5555555555555p-1 + q;
    c_lo = ((0x1.5555555555555p-1 - c) + q) + 0x1.5555555555555p-55;

    /* v = s z c */
    u = z * c;
    u_lo = fl_two_prod_tail(z, c, u) + fl_fma(z, c_lo, z_lo * c);
    v = s * u;
    v_lo = fl_two_prod_tail(s, u, v) + fl_fma(s, u_lo, s_lo * u);

    /* k ln 2 + 2 s + v, largest first */
    h = k * FL_LN2_HI;
    h1 = h + 2.0 * s;
    h2 = h1 + v;
    lo = (2.0 * s - (h1 - h)) + (v - (h2 - h1)) + (fl_fma(k, FL_LN2_LO, v_lo) + 2.0 * s_lo);
    y.hi = h2 + lo;
    y.lo = lo - (y.hi - h2);
    y.hi = x > 0.0 ? y.hi : (x == 0.0 ? -FL_INF : FL_NAN);
    y.hi = x < FL_INF ? y.hi : x;
    return y;
}

/* x^y = exp(y log x) for x >= 0 with C's special values (pow(anything, 0) = pow(1, anything) = 1); NaN for x < 0, y != 0. */
FL_INLINE double fl_pow(double x, double y)
{
    fl_pair l = fl_log_pair(x);
    double p = y * l.hi;
    double lost = fl_fma(y, l.lo, fl_two_prod_tail(y, l.hi, p));
    double e = fl_exp_sum(p, fl_abs(p) < 800.0 ? lost : 0.0); /* out there the result is 0 or inf, and lost may be NaN */
    return ((y == 0.0) | (x == 1.0)) ? 1.0 : e;
}

#endif
