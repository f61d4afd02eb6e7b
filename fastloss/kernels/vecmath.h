/* Vector mathematics: exp, log and their relatives as branch-free scalar functions.
 *
 * A kernel calls these from a plain `for` loop; the compiler vectorises the loop for whatever width it is building. That is why
 * nothing here branches, looks up a table (gathers cost more than the polynomial they save) or calls libm: a choice is a ternary,
 * which becomes a blend, and an exponent is built or taken apart with unsigned shifts and adds, which exist at every width.
 *
 * Build with   -O3 -fno-math-errno -fno-trapping-math -ffp-contract=off   and never with -ffast-math: the compensated steps below
 * are algebraically zero. Round-to-nearest and gradual underflow are assumed.
 *
 * Two bit families. Where the instruction set has fma, fl_fma is one rounding; elsewhere it is a multiply and an add. Inside a
 * family every vector width returns the same bits, since each lane does the same IEEE operations (no rcp, no rsqrt).
 *
 * A polynomial is summed in two halves, the even and the odd powers: as many operations as Horner's rule, half as long to wait for.
 *
 * How accurate the functions are is measured by `python -m benchmarks.ulp` and recorded in benchmarks/results/ulp.json.
 */
#ifndef FASTLOSS_VECMATH_H
#define FASTLOSS_VECMATH_H

#include "inline.h"
#include <stdint.h>

/* ---- Bits ------------------------------------------------------------------------------------------------------------------ */

FL_INLINE uint64_t fl_bits(double x)
{
    uint64_t b;
    __builtin_memcpy(&b, &x, sizeof b);
    return b;
}

FL_INLINE double fl_from_bits(uint64_t b)
{
    double x;
    __builtin_memcpy(&x, &b, sizeof x);
    return x;
}

FL_INLINE uint32_t fl_bitsf(float x)
{
    uint32_t b;
    __builtin_memcpy(&b, &x, sizeof b);
    return b;
}

FL_INLINE float fl_from_bitsf(uint32_t b)
{
    float x;
    __builtin_memcpy(&x, &b, sizeof x);
    return x;
}

/* ---- Multiply and add ------------------------------------------------------------------------------------------------------ */

#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
#define FL_HAS_FMA 1
FL_INLINE double fl_fma(double a, double b, double c) { return __builtin_fma(a, b, c); }
FL_INLINE float fl_fmaf(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
#else
#define FL_HAS_FMA 0
FL_INLINE double fl_fma(double a, double b, double c) { return a * b + c; }
FL_INLINE float fl_fmaf(float a, float b, float c) { return a * b + c; }
#endif

/* a*b - product, where product is a*b rounded: what the rounding lost. Exact with fma. Without it, Dekker's four partial products;
 * the halves are cut with a mask, not with Veltkamp's multiplication by 2^27 + 1, because that overflows from 2^997 on. The low
 * halves then have 27 bits, so only their own product may round, at 2^-107 of the whole. */
FL_INLINE double fl_two_prod_tail(double a, double b, double product)
{
#if FL_HAS_FMA
    return __builtin_fma(a, b, -product);
#else
    const uint64_t upper_half = 0xfffffffff8000000u;
    double a1 = fl_from_bits(fl_bits(a) & upper_half), a2 = a - a1;
    double b1 = fl_from_bits(fl_bits(b) & upper_half), b2 = b - b1;
    return ((a1 * b1 - product) + a1 * b2 + a2 * b1) + a2 * b2;
#endif
}

/* c - a*b: where a*b is within a factor of two of c, rounded once */
FL_INLINE double fl_product_rest(double c, double a, double b)
{
#if FL_HAS_FMA
    return __builtin_fma(-a, b, c);
#else
    double product = a * b;
    return (c - product) - fl_two_prod_tail(a, b, product);
#endif
}

FL_INLINE float fl_product_restf(float c, float a, float b)
{
#if FL_HAS_FMA
    return __builtin_fmaf(-a, b, c);
#else
    return (float)((double)c - (double)a * b);
#endif
}

/* ---- Exact functions ------------------------------------------------------------------------------------------------------- */

FL_INLINE double fl_abs(double x) { return __builtin_fabs(x); }
FL_INLINE float fl_absf(float x) { return __builtin_fabsf(x); }

FL_INLINE double fl_sqrt(double x) { return __builtin_sqrt(x); }
FL_INLINE float fl_sqrtf(float x) { return __builtin_sqrtf(x); }

FL_INLINE double fl_copysign(double x, double sign) { return __builtin_copysign(x, sign); }
FL_INLINE float fl_copysignf(float x, float sign) { return __builtin_copysignf(x, sign); }

/* Python's min and max: the first argument stands unless the second is strictly smaller (larger), so that a NaN in the first
 * argument propagates and one in the second does not. This is also what the machine's own min and max instructions do. */
FL_INLINE double fl_min(double a, double b) { return b < a ? b : a; }
FL_INLINE float fl_minf(float a, float b) { return b < a ? b : a; }
FL_INLINE double fl_max(double a, double b) { return b > a ? b : a; }
FL_INLINE float fl_maxf(float a, float b) { return b > a ? b : a; }

#include "vecmath64.h"
#include "pow64.h"
#include "vecmath32.h" /* uses float64 where a float32 function needs more digits than it has */

#endif
