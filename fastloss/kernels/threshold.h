/* The projection of a row of scores onto the simplex: tau such that max(z - top - tau, 0) sums to 1 over the row (Sparsemax).
 *
 * Newton's iteration from tau = -1: given the support, the classes above tau, tau is (their sum - 1) / (their number), which is larger,
 * and the support shrinks until it stays. A probability just above 0 is a difference of nearly equal numbers; so z - top, the sums and
 * tau are kept with what their roundings lost, and every probability has all its digits. */
#ifndef FASTLOSS_THRESHOLD_H
#define FASTLOSS_THRESHOLD_H
#include "rows.h"

/* a*b - product in twice the digits. */
FL_INLINE float fl_product_tailf(float a, float b, float product) { return (float)((double)a * (double)b - (double)product); }
FL_INLINE double fl_product_tail(double a, double b, double product) { return fl_two_prod_tail(a, b, product); }

#define FL_DEFINE_THRESHOLD(SUFFIX, REAL, TAIL)                                                                        \
typedef struct { REAL hi, lo, count; } fl_support_##SUFFIX;                                                            \
/* A class goes into the sum of the support if z - peak > tau. */                                                      \
FL_INLINE fl_support_##SUFFIX fl_support_add_##SUFFIX(fl_support_##SUFFIX s, REAL z, REAL peak, REAL tau, REAL tau_low) \
{                                                                                                                      \
    REAL d = z - peak, b = d - z, low = (z - (d - b)) - (peak + b);                                                    \
    int in = (d - tau) + (low - tau_low) > 0;                                                                          \
    REAL term = in ? d : 0, sum = s.hi + term, back = sum - s.hi;                                                      \
    s.lo += ((s.hi - (sum - back)) + (term - back)) + (in ? low : 0);                                                  \
    s.hi = sum;                                                                                                        \
    s.count += in ? (REAL)1 : 0;                                                                                       \
    return s;                                                                                                          \
}                                                                                                                      \
/* (sum - 1) / count; of an empty support NaN. */                                                                      \
FL_INLINE void fl_support_tau_##SUFFIX(fl_support_##SUFFIX s, REAL *tau, REAL *tau_low)                                \
{                                                                                                                      \
    REAL less = s.hi - 1, back = less - s.hi, low = s.lo + ((s.hi - (less - back)) + (-1 - back));                     \
    REAL t = (less + low) / s.count, product = t * s.count;                                                            \
    *tau = s.count > 0 ? t : (REAL)NAN;                                                                                \
    *tau_low = (((less - product) - TAIL(t, s.count, product)) + low) / s.count;                                       \
}                                                                                                                      \
/* FL_ACROSS samples across the lanes. */                                                                               \
static void fl_threshold_lanes_##SUFFIX(const REAL *z, ptrdiff_t classes, REAL *peak, REAL *tau, REAL *tau_low)        \
{                                                                                                                      \
    fl_support_##SUFFIX s;                                                                                             \
    REAL hi[FL_ACROSS], lo[FL_ACROSS], count[FL_ACROSS], before[FL_ACROSS];                                                \
    int fewer = 1;                                                                                                     \
    for (int i = 0; i < FL_ACROSS; i++) peak[i] = z[i], tau[i] = -1, tau_low[i] = 0, before[i] = (REAL)INFINITY;        \
    for (ptrdiff_t j = 1; j < classes; j++)                                                                            \
        for (int i = 0; i < FL_ACROSS; i++) {                                                                           \
            REAL v = z[j * FL_ACROSS + i];                                                                              \
            peak[i] = (v > peak[i]) | (v != v) ? v : peak[i];                                                          \
        }                                                                                                              \
    while (fewer) {                                                                                                    \
        for (int i = 0; i < FL_ACROSS; i++) hi[i] = lo[i] = count[i] = 0;                                               \
        for (ptrdiff_t j = 0; j < classes; j++)                                                                        \
            for (int i = 0; i < FL_ACROSS; i++) {                                                                       \
                s.hi = hi[i], s.lo = lo[i], s.count = count[i];                                                        \
                s = fl_support_add_##SUFFIX(s, z[j * FL_ACROSS + i], peak[i], tau[i], tau_low[i]);                      \
                hi[i] = s.hi, lo[i] = s.lo, count[i] = s.count;                                                        \
            }                                                                                                          \
        fewer = 0;                                                                                                     \
        for (int i = 0; i < FL_ACROSS; i++) {                                                                           \
            s.hi = hi[i], s.lo = lo[i], s.count = count[i];                                                            \
            fl_support_tau_##SUFFIX(s, &tau[i], &tau_low[i]);                                                          \
            fewer |= count[i] < before[i];                                                                             \
            before[i] = count[i];                                                                                      \
        }                                                                                                              \
    }                                                                                                                  \
}                                                                                                                      \
/* One row: 16 partial sums, added in order. */                                                                        \
static void fl_threshold_row_##SUFFIX(const REAL *z, ptrdiff_t classes, REAL *peak, REAL *tau, REAL *tau_low)          \
{                                                                                                                      \
    REAL hi[16], lo[16], count[16], top = fl_row_max_or_nan_##SUFFIX(z, classes), t = -1, t_low = 0, before = (REAL)INFINITY; \
    for (;;) {                                                                                                         \
        fl_support_##SUFFIX s, all = {0, 0, 0};                                                                        \
        ptrdiff_t j = 0;                                                                                               \
        for (int l = 0; l < 16; l++) hi[l] = lo[l] = count[l] = 0;                                                     \
        for (; j + 16 <= classes; j += 16)                                                                             \
            for (int l = 0; l < 16; l++) {                                                                             \
                s.hi = hi[l], s.lo = lo[l], s.count = count[l];                                                        \
                s = fl_support_add_##SUFFIX(s, z[j + l], top, t, t_low);                                               \
                hi[l] = s.hi, lo[l] = s.lo, count[l] = s.count;                                                        \
            }                                                                                                          \
        for (; j < classes; j++) all = fl_support_add_##SUFFIX(all, z[j], top, t, t_low);                              \
        for (int l = 0; l < 16; l++) {                                                                                 \
            REAL sum = all.hi + hi[l], back = sum - all.hi;                                                            \
            all.lo += ((all.hi - (sum - back)) + (hi[l] - back)) + lo[l];                                              \
            all.hi = sum, all.count += count[l];                                                                       \
        }                                                                                                              \
        fl_support_tau_##SUFFIX(all, &t, &t_low);                                                                      \
        if (!(all.count < before)) break;                                                                              \
        before = all.count;                                                                                            \
    }                                                                                                                  \
    *peak = top, *tau = t, *tau_low = t_low;                                                                           \
}
FL_DEFINE_THRESHOLD(f32, float, fl_product_tailf)
FL_DEFINE_THRESHOLD(f64, double, fl_product_tail)
#endif
