/* Exponentials of a row's scores, all to one scale, so that the largest is about 2^60 and their sum neither overflows nor vanishes.
 *
 * The textbook's exp(z - top) rounds z - top before it exponentiates: in float32 that costs 10 units in the last place where z - top is
 * -20, and a confident prediction's loss and gradient are made of such terms alone. Here z is reduced as it is and the scale is a power
 * of two, 2^-k with k = rint(top / ln 2), that goes into the exponent of the result: exact, and one operation less. Only where |top| is
 * large (then z - top is exact wherever its exponential is not 0) z is shifted by `base` first. A change of k rescales exactly, too.
 */
#ifndef FASTLOSS_PARTITION_H
#define FASTLOSS_PARTITION_H
#include "vecmath.h"

typedef struct { double base, k; } fl_scale;

#if FL_HAS_FMA /* n ln2_hi is then exact for any n that occurs */
#define FL_NEAR_F32 4096.0f
#define FL_NEAR_F64 1048576.0
#else
#define FL_NEAR_F32 128.0f
#define FL_NEAR_F64 512.0
#endif

/* What a row's exponentials are relative to: exp(base) 2^k; an infinite or NaN top makes NaN of everything. */
FL_INLINE float fl_part_basef(float top) { return fl_absf(top) <= FL_NEAR_F32 ? 0.0f : top; }
FL_INLINE double fl_part_base(double top) { return fl_abs(top) <= FL_NEAR_F64 ? 0.0 : top; }
FL_INLINE float fl_part_powerf(float top, float base) { return fl_fmaf(top - base, FL_LOG2_EF, FL_ROUNDF) - FL_ROUNDF; }
FL_INLINE double fl_part_power(double top, double base) { return fl_fma(top - base, FL_LOG2_E, FL_ROUND) - FL_ROUND; }
/* Constants of fl_part_exp: what is below `low` counts as that; adding `shift` rounds to an integer and puts 2^-k into the exponent. */
FL_INLINE float fl_part_lowf(float k) { return (k - 186.0f) * 0x1.62e43p-1f; }
FL_INLINE double fl_part_low(double k) { return (k - 1082.0) * 0x1.62e42fefa39efp-1; }
FL_INLINE float fl_part_shiftf(float k) { return (FL_ROUNDF + 127 + 60) - k; }
FL_INLINE double fl_part_shift(double k) { return (FL_ROUND + 1023 + 60) - k; }

/* 2^60 exp(z - base) 2^-k, for z up to a little above base + k ln 2. The 2^60 makes it a normal number wherever its share of the sum is
 * not 0 after rounding; a masked class's, 2^-126 or less of that, vanishes in the share. Polynomials: see fl_exp_neg of vecmath32.h and vecmath64.h. */
FL_INLINE float fl_part_expf(float z, float base, float low, float shift)
{
    float c = fl_maxf(z - base, low);
    float t = fl_fmaf(c, FL_LOG2_EF, shift), n = t - shift;
    float r = fl_fmaf(n, -FL_LN2_LOF, fl_fmaf(n, -FL_LN2_HIF, c));
    float x2 = r * r, even = 0x1.694cbap-10f, odd = 0x1.123984p-7f;
    even = fl_fmaf(even, x2, 0x1.555a26p-5f);
    even = fl_fmaf(even, x2, 0x1.fffffap-2f);
    odd = fl_fmaf(odd, x2, 0x1.555492p-3f);
    float p = 1.0f + fl_fmaf(x2, fl_fmaf(odd, r, even), r);
    return p * fl_from_bitsf(fl_bitsf(t) << 23);
}

FL_INLINE double fl_part_exp(double z, double base, double low, double shift)
{
    double c = fl_max(z - base, low);
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
    return p * fl_from_bits(fl_bits(t) << 52);
}

/* What takes exponentials of one scale to a later, larger one: a power of two, unless the base moved. */
FL_INLINE double fl_rescale(fl_scale then, fl_scale now)
{
    double steps = fl_max(then.k - now.k, -1100.0);
    double half = fl_fma(steps, 0.5, FL_ROUND) - FL_ROUND;
    if (then.base != now.base) return fl_exp((then.base - now.base) + steps * 0x1.62e42fefa39efp-1);
    return fl_from_bits((uint64_t)(int64_t)(half + 1023.0) << 52) * fl_from_bits((uint64_t)(int64_t)(steps - half + 1023.0) << 52);
}
#endif
