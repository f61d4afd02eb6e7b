/* float32 half of vecmath.h. The same methods as in vecmath64.h, where they are explained; comments here say what differs. */
#ifndef FASTLOSS_VECMATH32_H
#define FASTLOSS_VECMATH32_H

#define FL_INFF __builtin_inff()
#define FL_NANF __builtin_nanf("")

#define FL_LOG2_EF 0x1.715476p+0f
/* 15 bits: the product with any exponent (9 bits) is exact */
#define FL_LN2_HIF 0x1.62e4p-1f
#define FL_LN2_LOF 0x1.7f7d1cp-20f

#define FL_ROUNDF 0x1.8p+23f

typedef struct { float hi, lo; } fl_pairf;

/* ==== exp =================================================================================================================== */

typedef struct { float w, c; } fl_remainderf;

FL_INLINE fl_remainderf fl_exp_remainderf(float x, float n)
{
    fl_remainderf r;
    r.w = fl_fmaf(n, -FL_LN2_HIF, x);
    r.c = n * -FL_LN2_LOF;
    return r;
}

/* exp(r) - 1 - w. Sollya: fpminimax(exp(x), [|2,...,6|], [|SG...|], [-ln2/2; ln2/2], relative, 1 + x); error 2^-28.2 of exp(r). */
FL_INLINE float fl_exp_tailf(fl_remainderf r)
{
    float x = r.w + r.c, q;
    float x2 = x * x, even = 0x1.694cbap-10f, odd = 0x1.123984p-7f;
    even = fl_fmaf(even, x2, 0x1.555a26p-5f);
    even = fl_fmaf(even, x2, 0x1.fffffap-2f);
    odd = fl_fmaf(odd, x2, 0x1.555492p-3f);
    q = fl_fmaf(odd, x, even);
    return fl_fmaf(x * x, q, r.c);
}

FL_INLINE float fl_exp_mantissaf(fl_remainderf r)
{
    float p = 1.0f + r.w;
    return p + (((1.0f - p) + r.w) + fl_exp_tailf(r));
}

FL_INLINE float fl_expf(float x)
{
    const float shift = FL_ROUNDF + 2 * 127;
    float c = fl_maxf(fl_minf(x, 89.0f), -104.0f);
    float t = fl_fmaf(c, FL_LOG2_EF, shift);
    float p = fl_exp_mantissaf(fl_exp_remainderf(c, t - shift));
    uint32_t n = fl_bitsf(t), half = n >> 1;
    return p * fl_from_bitsf(half << 23) * fl_from_bitsf((n - half) << 23);
}

/* What follows (a logarithm, a quotient) rounds as well, so here 1 + r is not kept to the last bit: a quarter of a unit more, six
 * operations less. Sollya: as fl_exp_tailf. */
FL_INLINE float fl_exp_negf(float x)
{
    const float shift = FL_ROUNDF + 127 + 30;
    float c = fl_maxf(x, -104.0f);
    float t = fl_fmaf(c, FL_LOG2_EF, shift), n = t - shift;
    float r = fl_fmaf(n, -FL_LN2_LOF, fl_fmaf(n, -FL_LN2_HIF, c));
    float z = r * r, even = 0x1.694cbap-10f, odd = 0x1.123984p-7f;
    even = fl_fmaf(even, z, 0x1.555a26p-5f);
    even = fl_fmaf(even, z, 0x1.fffffap-2f);
    odd = fl_fmaf(odd, z, 0x1.555492p-3f);
    float p = 1.0f + fl_fmaf(z, fl_fmaf(odd, r, even), r);
    return p * fl_from_bitsf(fl_bitsf(t) << 23) * 0x1p-30f;
}

/* ==== expm1 ================================================================================================================= */

FL_INLINE fl_pairf fl_half_expm1f(float scale, float w, float tail)
{
    float a = scale - 0.5f, b = scale * w;
    fl_pairf y;
    y.hi = a + b;
    y.lo = fl_fmaf(scale, tail, ((scale - a) - 0.5f) + (b - (y.hi - a)));
    return y;
}

FL_INLINE float fl_expm1f(float x)
{
    const float shift = FL_ROUNDF + 126;
    float c = fl_maxf(fl_minf(x, 89.0f), -20.0f);
    float t = fl_fmaf(c, FL_LOG2_EF, shift);
    fl_remainderf r = fl_exp_remainderf(c, t - shift);
    fl_pairf y = fl_half_expm1f(fl_from_bitsf(fl_bitsf(t) << 23), r.w, fl_exp_tailf(r));
    return fl_absf(x) < 0x1p-25f ? x : 2.0f * (y.hi + y.lo);
}

/* Sollya: fpminimax((exp(x)-1-x)/x^2, 6, [|SG...|], [-1/2; 1/2], relative); error 2^-30.2. */
FL_INLINE float fl_expm1mxf(float x)
{
    const float shift = FL_ROUNDF + 126;
    float below = fl_minf(x, 89.0f), c = fl_maxf(below, -20.0f);
    float t = fl_absf(x) < 0.5f ? shift : fl_fmaf(c, FL_LOG2_EF, shift);
    fl_remainderf r = fl_exp_remainderf(c, t - shift);
    fl_pairf y;
    float v = r.w + r.c, h = 0.5f * v, q;
    float v2 = v * v, even = 0x1.a2a76ep-13f, odd = 0x1.a07872p-16f;
    even = fl_fmaf(even, v2, 0x1.110fc6p-7f);
    even = fl_fmaf(even, v2, 0x1.555556p-3f);
    odd = fl_fmaf(odd, v2, 0x1.6c1824p-10f);
    odd = fl_fmaf(odd, v2, 0x1.555554p-5f);
    q = fl_fmaf(odd, v, even);
    y = fl_half_expm1f(fl_from_bitsf(fl_bitsf(t) << 23), r.w, fl_fmaf(h, v, fl_fmaf(v * v, q * v, r.c)));
    return 2.0f * ((y.hi - 0.5f * below) + y.lo);
}

/* ==== log =================================================================================================================== */

/* log(1 + f) - f + extra, for f in [-1/4, 1/2]. At this precision a polynomial in f is cheaper than the division for s.
 * Sollya: fpminimax(log(1+x)/x, [|1,...,9|], [|SG...|], [-1/4; 1/2], relative, 1); error 2^-27.6 of the logarithm. */
FL_INLINE float fl_log_tailf(float f, float extra)
{
    float q;
    float f2 = f * f, even = -0x1.721d3ep-5f, odd = 0x1.ad4188p-4f;
    even = fl_fmaf(even, f2, -0x1.0db586p-3f);
    even = fl_fmaf(even, f2, -0x1.54eb54p-3f);
    even = fl_fmaf(even, f2, -0x1.00004ep-2f);
    even = fl_fmaf(even, f2, -0.5f);
    odd = fl_fmaf(odd, f2, 0x1.28852ep-3f);
    odd = fl_fmaf(odd, f2, 0x1.9968fp-3f);
    odd = fl_fmaf(odd, f2, 0x1.5555a6p-2f);
    q = fl_fmaf(odd, f, even);
    return fl_fmaf(f * f, q, extra);
}

FL_INLINE float fl_log_sumf(float k, float f)
{
    float hi = fl_fmaf(k, FL_LN2_HIF, f);
    float lost = f - fl_fmaf(k, -FL_LN2_HIF, hi);
    return hi + fl_log_tailf(f, fl_fmaf(k, FL_LN2_LOF, lost));
}

#define FL_LOG_OFFSETF 0x00400000u
#define FL_MANTISSAF 0x007fffffu

FL_INLINE float fl_logf(float x)
{
    int subnormal = x < 0x1p-126f;
    uint32_t b = fl_bitsf(subnormal ? x * 0x1p24f : x) + FL_LOG_OFFSETF;
    float k = (float)(int32_t)(b >> 23) - (subnormal ? 127.0f + 24.0f : 127.0f);
    float m = fl_from_bitsf((b & FL_MANTISSAF) + 0x3f400000u);
    float y = fl_log_sumf(k, m - 1.0f);
    y = x > 0.0f ? y : (x == 0.0f ? -FL_INFF : FL_NANF);
    return x < FL_INFF ? y : x;
}

typedef struct { float k, f; } fl_log1p_partsf;

FL_INLINE fl_log1p_partsf fl_log1p_splitf(float x, int keep)
{
    uint32_t e = keep ? 127u : (fl_bitsf(1.0f + x) + (FL_LOG_OFFSETF - 1)) >> 23;
    float scale = 0.25f * fl_from_bitsf((256u - e) << 23);
    fl_log1p_partsf y;
    y.k = (float)(int32_t)e - 127.0f;
    y.f = fl_fmaf(x, scale, -(1.0f - scale));
    return y;
}

FL_INLINE float fl_log1pf(float x)
{
    fl_log1p_partsf p = fl_log1p_splitf(x, fl_absf(x) <= 0.25f);
    float y = fl_log_sumf(p.k, p.f);
    y = x > -1.0f ? y : (x == -1.0f ? -FL_INFF : FL_NANF);
    return ((x < FL_INFF) & (x != 0.0f)) ? y : x;
}

/* Sollya: fpminimax(log(1+x), [|2,...,10|], [|SG...|], [2^-24; 1], relative, x); error 2^-27.5. */
FL_INLINE float fl_log1p_unitf(float e)
{
    float z = e * e, even = fl_fmaf(-0x1.b22adep-9f, z, -0x1.d7efa8p-5f);
    float odd = fl_fmaf(0x1.4a9226p-6f, z, 0x1.b53c48p-4f), q;
    even = fl_fmaf(even, z, -0x1.3a6736p-3f);
    q = fl_fmaf(odd, e, even);
    q = fl_fmaf(q, e, 0x1.935568p-3f);
    q = fl_fmaf(q, e, -0x1.ff2556p-3f);
    q = fl_fmaf(q, e, 0x1.554ddap-2f);
    q = fl_fmaf(q, e, -0x1.ffffd2p-2f);
    return fl_fmaf(z, q, e);
}

/* Sollya: fpminimax((2atanh(s)-2s)/s^3 as a series in s^2, 3, [|SG...|], [0; 1/16], relative); error 2^-24, in a term that is at
 * most a twelfth of the result. */
FL_INLINE float fl_atanh_seriesf(float z)
{
    float z2 = z * z, even = 0x1.23808cp-2f, odd = 0x1.fa8208p-3f;
    even = fl_fmaf(even, z2, 0x1.555554p-1f);
    odd = fl_fmaf(odd, z2, 0x1.999d5ep-2f);
    return fl_fmaf(odd, z, even);
}

FL_INLINE float fl_log1pmxf(float x)
{
    fl_log1p_partsf p = fl_log1p_splitf(x, fl_absf(x) <= 0.4f);
    float s = p.f / (2.0f + p.f), z = s * s, h = 0.5f * p.f, y, q = fl_atanh_seriesf(z);
    y = fl_fmaf(-h, p.f, fl_fmaf(s, fl_fmaf(z, q, h * p.f), p.k * FL_LN2_LOF));
    y = (fl_fmaf(p.k, FL_LN2_HIF, -x) + p.f) + y;
    y = x > -1.0f ? y : (x == -1.0f ? -FL_INFF : FL_NANF);
    return x < FL_INFF ? y : -x;
}

FL_INLINE float fl_kl_divf(float a, float b)
{
    uint32_t e = fl_bitsf(fl_maxf(a, b)) & 0x7e000000u;
    float scale = fl_from_bitsf(0x7e800000u - e), unscale = fl_from_bitsf(0x00800000u + e);
    float x = fl_maxf(a * scale, 0x1p-40f), w = b * scale;
    int small = b < 0x1p-126f;
    uint32_t i = fl_bitsf(x), j = fl_bitsf(small ? b * 0x1p24f : b), more = (i - j) & FL_MANTISSAF;
    uint32_t n = (j & FL_MANTISSAF) | 0x3f800000u;
    float m1 = fl_from_bitsf(n + more), m2 = fl_from_bitsf(n), v = fl_from_bitsf(i - more);
    float k = (float)(int32_t)((i - j + e) >> 23) - (small ? 126.0f - 24.0f : 126.0f);
    int high = m1 > 1.4427f * m2;
    m1 = high ? 0.5f * m1 : m1;
    v = high ? 2.0f * v : v;
    k = high ? k + 1.0f : k;
    float s = (m1 - m2) / (m1 + m2), z = s * s;
    float d = v - w, t = d - v, d_lost = (v - (d - t)) - (w + t);
    float y = fl_fmaf(x, fl_fmaf(s * z, fl_atanh_seriesf(z), k * FL_LN2_LOF), -d_lost);
    y = fl_fmaf(x - v, s, y) - fl_product_restf(d, x, k * FL_LN2_HIF);
    y = fl_absf(y * unscale);
    y = (fl_absf(a - b) == FL_INFF) | ((b == 0.0f) & (a > 0.0f)) ? FL_INFF : y;
    return fl_minf(a, b) < 0.0f ? FL_NANF : y;
}

FL_INLINE float fl_log1p_differencef(float a, float b)
{
    float low = fl_minf(a, b), high = fl_maxf(a, b), e = fl_absf(a - b), v = e - high, s = 1.0f + low;
    float e_lost = (high - (e - v)) - (low + v), s_lost = fl_minf(low, 1.0f) - (s - fl_maxf(low, 1.0f));
    int huge = e > 0x1p100f, lowered = huge & (s < 1.0f);
    float t = lowered ? s * 0x1p30f : s, x = e / t;
    float n = huge ? 0.0f : fl_product_restf(e, x, t) + fl_fmaf(-x, s_lost, e_lost);
    fl_log1p_partsf p = fl_log1p_splitf(x, 0);
    float k = p.k + (lowered ? 30.0f : 0.0f), hi = fl_fmaf(k, FL_LN2_HIF, p.f), lost = p.f - fl_fmaf(k, -FL_LN2_HIF, hi);
    float y = hi + fl_log_tailf(p.f, fl_fmaf(k, FL_LN2_LOF, lost + n / (s + e)));
    y = s >= 0.0f ? (x < FL_INFF ? y : x) : FL_NANF;
    return a < b ? -y : y;
}

/* ==== Two arguments: through float64 ========================================================================================
 *
 * The products and quotients of two float32 need the digits and the exponents of a float64, but its functions only to about 2^-30:
 * shorter polynomials, no subnormals, no compensation; the conversion back to float32 overflows and underflows as it should. */

/* exp(x) for float32 results: beyond the bounds they are 0 and inf. Sollya as fl_exp_tail, powers 2 to 6; error 2^-28.3. */
FL_INLINE double fl_exp_short(double x)
{
    const double shift = FL_ROUND + 1023;
    double c = fl_max(fl_min(x, 100.0), -110.0);
    double t = fl_fma(c, FL_LOG2_E, shift), n = t - shift;
    double r = fl_fma(n, -FL_LN2_LO, fl_fma(n, -FL_LN2_HI, c));
    double q;
    double r2 = r * r, even = 0x1.6a24104d43f4dp-10, odd = 0x1.1239f82088f18p-7;
    even = fl_fma(even, r2, 0x1.5558f202dede9p-5);
    even = fl_fma(even, r2, 0x1.fffffb99636ffp-2);
    odd = fl_fma(odd, r2, 0x1.55549137cad37p-3);
    q = fl_fma(odd, r, even);
    q = fl_fma(r * r, q, r);
    return (1.0 + q) * fl_from_bits(fl_bits(t) << 52);
}

/* log(x) for x a float32 or a quotient of two, so never subnormal. Sollya as fl_log_tail, degree 4; error 2^-40.4. */
FL_INLINE double fl_log_short(double x)
{
    uint64_t b = fl_bits(x) + FL_LOG_OFFSET;
    double k = fl_unbias(b >> 52, 1023.0);
    double f = fl_from_bits((b & FL_MANTISSA) + 0x3fe8000000000000u) - 1.0;
    double s = f / (2.0 + f), z = s * s, y;
    double q;
    double z2 = z * z, even = 0x1.95c0eb704df77p-3, odd = 0x1.c5eb9bb43114cp-3;
    even = fl_fma(even, z2, 0x1.24947b9b75265p-2);
    even = fl_fma(even, z2, 0x1.555555559f9ecp-1);
    odd = fl_fma(odd, z2, 0x1.999996c610275p-2);
    q = fl_fma(odd, z, even);
    y = fl_fma(k, FL_LN2_HI, s * fl_fma(z, q, 2.0));
    y = x > 0.0 ? y : (x == 0.0 ? -FL_INF : FL_NAN);
    return x < FL_INF ? y : x;
}

FL_INLINE float fl_exp_productf(float a, float b) { return (float)fl_exp_short((double)a * (double)b); }

FL_INLINE float fl_log_ratiof(float a, float b) { return (float)fl_log_short((double)a / (double)b); }

FL_INLINE float fl_powf(float x, float y)
{
    float e = (float)fl_exp_short((double)y * fl_log_short((double)x));
    return ((y == 0.0f) | (x == 1.0f)) ? 1.0f : e;
}

/* ==== Logistic family ======================================================================================================= */

/* exp(-|x|): what softplus and sigmoid share, for formulas that want it by itself. */
FL_INLINE float fl_decayf(float x) { return fl_exp_negf(-fl_absf(x)); }

FL_INLINE float fl_softplusf(float x) { return (x > 0.0f ? x : 0.0f) + fl_log1p_unitf(fl_decayf(x)); }

FL_INLINE float fl_sigmoidf(float x)
{
    float e = fl_decayf(x);
    float y = (x >= 0.0f ? 1.0f : e) / (1.0f + e);
    return x < -1.4f ? fl_fmaf(-e, y, e) : y;
}

FL_INLINE float fl_tanhf(float x)
{
    const float shift = FL_ROUNDF + 126;
    float a = fl_absf(x), c = 2.0f * fl_minf(a, 10.0f);
    float t = fl_fmaf(c, FL_LOG2_EF, shift);
    fl_remainderf r = fl_exp_remainderf(c, t - shift);
    fl_pairf p = fl_half_expm1f(fl_from_bitsf(fl_bitsf(t) << 23), r.w, fl_exp_tailf(r));
    float h = p.hi + p.lo, h_lo = p.lo - (h - p.hi);
    float d = 1.0f + h, lost = ((1.0f - d) + h) + h_lo;
    float y = (h + fl_fmaf(-fl_minf(h, 0.5f), lost, h_lo)) / d;
    return fl_copysignf(a < 0x1p-25f ? a : y, x);
}

#endif
