/* Every target of a row against every class that is none (rowspec.Pairs): what margin + z_other - z_own sums to where it is positive, and
 * in how many such pairs each class is.
 *
 * margin - z_own is taken once per target, and z_other added to it; both differences keep what their rounding lost, so that each term is
 * right but for its last digit, and 0 where it is 0, even where it cancels. Four terms are added as they are, and these sums with what
 * they lose. Targets stand among the others as a score that no margin reaches, and so do scores far below all targets.
 *
 * That asks for numbers which do not come near the end of the range. Rows with others (infinite scores, too, but for -inf of a class that
 * is no target) and with NaN are wild, and go pair by pair. Where the sum is NaN, all counts are. */
#ifndef FASTLOSS_PAIRS_H
#define FASTLOSS_PAIRS_H
#include "rows.h"

#define FL_OWN 64     /* targets of a row at a time */
#define FL_PAIRED 512 /* classes at a time that these are held against */

#define FL_DEFINE_PAIRS(SUFFIX, REAL, INT, VECTOR, MASK, W, BIG)                                                       \
FL_INLINE void fl_pairs_put_##SUFFIX(REAL *to, VECTOR v) { memcpy(to, &v, 64); }                                       \
FL_INLINE REAL fl_pairs_sum_##SUFFIX(REAL total, REAL lost) { return lost - lost == 0 ? total + lost : total; }        \
/* total += term */                                                                                                    \
FL_INLINE void fl_pairs_add_##SUFFIX(VECTOR *total, VECTOR *lost, VECTOR term)                                         \
{                                                                                                                      \
    VECTOR sum = *total + term, back = sum - *total;                                                                   \
    *lost += (*total - (sum - back)) + (term - back);                                                                  \
    *total = sum;                                                                                                      \
}                                                                                                                      \
/* margin - own = high + low */                                                                                        \
FL_INLINE void fl_pairs_lead_##SUFFIX(VECTOR own, REAL margin_, VECTOR *high, VECTOR *low)                             \
{                                                                                                                      \
    VECTOR margin = margin_ - (VECTOR){0}, back;                                                                       \
    *high = margin - own;                                                                                              \
    back = *high - margin;                                                                                             \
    *low = (margin - (*high - back)) - (own + back);                                                                   \
}                                                                                                                      \
/* max(0, other + high + low), and where that is positive */                                                           \
FL_INLINE VECTOR fl_pairs_hinge_##SUFFIX(VECTOR other, VECTOR high, VECTOR low, MASK *in)                              \
{                                                                                                                      \
    VECTOR s = other + high, back = s - high;                                                                          \
    s += ((high - (s - back)) + (other - back)) + low;                                                                 \
    *in = s > (VECTOR){0};                                                                                             \
    return (VECTOR)((MASK)s & *in);                                                                                    \
}                                                                                                                      \
FL_INLINE void fl_pairs_count_##SUFFIX(REAL *owed, MASK in)                                                            \
{                                                                                                                      \
    VECTOR one = (REAL)1 - (VECTOR){0};                                                                                \
    fl_pairs_put_##SUFFIX(owed, fl_row_load_##SUFFIX(owed) + (VECTOR)((MASK)one & in));                                \
}                                                                                                                      \
FL_INLINE INT fl_pairs_wild_##SUFFIX(REAL z, REAL y)                                                                   \
{                                                                                                                      \
    return (z > BIG) | ((y != 0) & (z < -BIG)) | (z != z) | (y != y);                                                  \
}                                                                                                                      \
FL_INLINE REAL fl_pairs_other_##SUFFIX(REAL z, REAL y) { return (y == 0) & (z > -4 * BIG) ? z : -4 * BIG; }            \
/* Any row, pair by pair: class j at j * step. */                                                                      \
static REAL fl_pairs_any_##SUFFIX(const REAL *z, const REAL *y, ptrdiff_t step, ptrdiff_t classes, REAL margin, REAL *owed) \
{                                                                                                                      \
    REAL total = 0, lost = 0;                                                                                          \
    ptrdiff_t end = classes * step;                                                                                    \
    INT nan = 0; /* GCC 12 would lose some if `total` were set to it here */                                           \
    for (ptrdiff_t j = 0; j < end; j += step) {                                                                        \
        if (owed) owed[j] = 0;                                                                                         \
        nan |= (z[j] != z[j]) | (y[j] != y[j]);                                                                        \
    }                                                                                                                  \
    if (nan) total = (REAL)NAN;                                                                                        \
    for (ptrdiff_t j = 0; j < end && !nan; j += step)                                                                  \
        for (ptrdiff_t k = 0; k < end && y[j] != 0; k += step) {                                                       \
            REAL d = z[k] - z[j], b = d - z[k], s = margin + d, a = s - margin, sum, back;                             \
            REAL low = ((z[k] - (d - b)) - (z[j] + b)) + ((margin - (s - a)) + (d - a));                               \
            s = fl_pairs_sum_##SUFFIX(s, low);                                                                         \
            if (y[k] != 0 || s <= 0) continue;                                                                         \
            sum = total + s, back = sum - total;                                                                       \
            lost += (total - (sum - back)) + (s - back);                                                               \
            total = sum;                                                                                               \
            if (owed) owed[k] += 1, owed[j] -= 1;                                                                      \
        }                                                                                                              \
    for (ptrdiff_t j = 0; j < end && owed && total != total; j += step) owed[j] = (REAL)NAN;                           \
    return fl_pairs_sum_##SUFFIX(total, lost);                                                                         \
}                                                                                                                      \
/* FL_ACROSS samples across the lanes: their targets' scores are gathered; who has fewer gets some that cost nothing. */ \
FL_INLINE void fl_pairs_across_##SUFFIX(const REAL *z, const REAL *y, ptrdiff_t classes, REAL margin, REAL *hinges,    \
                                        REAL *owed, int counts)                                                        \
{                                                                                                                      \
    REAL own[FL_FEW * FL_ACROSS], others[FL_FEW * FL_ACROSS], left[FL_ACROSS];                                         \
    INT wild[FL_ACROSS];                                                                                               \
    uint32_t which[FL_FEW]; /* of each class: the samples that it is a target of */                                    \
    int targets[FL_ACROSS] = {0}, seen[FL_ACROSS] = {0};                                                               \
    for (int i = 0; i < FL_ACROSS; i++) wild[i] = !(margin <= BIG && margin >= -BIG);                                  \
    for (ptrdiff_t j = 0; j < classes * FL_ACROSS; j += FL_ACROSS)                                                     \
        for (int i = 0; i < FL_ACROSS; i++) {                                                                          \
            wild[i] |= fl_pairs_wild_##SUFFIX(z[j + i], y[j + i]);                                                     \
            others[j + i] = fl_pairs_other_##SUFFIX(z[j + i], y[j + i]);                                               \
            own[j + i] = 4 * BIG;                                                                                      \
            if (counts) owed[j + i] = 0;                                                                               \
        }                                                                                                              \
    for (ptrdiff_t j = 0; j < classes; j++) {                                                                          \
        uint32_t given = 0;                                                                                            \
        for (int i = 0; i < FL_ACROSS; i++) given |= y[j * FL_ACROSS + i] != 0 ? (uint32_t)1 << i : 0;                 \
        for (which[j] = given; given; given &= given - 1) {                                                            \
            int i = __builtin_ctz(given);                                                                              \
            own[targets[i]++ * FL_ACROSS + i] = z[j * FL_ACROSS + i];                                                  \
        }                                                                                                              \
    }                                                                                                                  \
    for (int g = 0; g < FL_ACROSS; g += W) {                                                                           \
        VECTOR total = {0}, lost = {0}, high, low;                                                                     \
        int most = 0;                                                                                                  \
        for (int i = g; i < g + W; i++) most = targets[i] > most ? targets[i] : most;                                  \
        for (int t = 0; t < most; t++) {                                                                               \
            REAL *mine = own + t * FL_ACROSS + g;                                                                      \
            MASK in, hits = {0};                                                                                       \
            fl_pairs_lead_##SUFFIX(fl_row_load_##SUFFIX(mine), margin, &high, &low);                                   \
            for (ptrdiff_t j = 0, stop; j < classes; j = stop) {                                                       \
                VECTOR part = {0};                                                                                     \
                stop = j + 4 < classes ? j + 4 : classes;                                                              \
                for (ptrdiff_t k = j; k < stop; k++) {                                                                 \
                    part += fl_pairs_hinge_##SUFFIX(fl_row_load_##SUFFIX(others + k * FL_ACROSS + g), high, low, &in); \
                    if (counts) hits += in, fl_pairs_count_##SUFFIX(owed + k * FL_ACROSS + g, in);                     \
                }                                                                                                      \
                fl_pairs_add_##SUFFIX(&total, &lost, part);                                                            \
            }                                                                                                          \
            for (int i = 0; i < W && counts; i++) mine[i] = (REAL)hits[i];                                             \
        }                                                                                                              \
        fl_pairs_put_##SUFFIX(hinges + g, total);                                                                      \
        fl_pairs_put_##SUFFIX(left + g, lost);                                                                         \
    }                                                                                                                  \
    for (int i = 0; i < FL_ACROSS; i++) hinges[i] = fl_pairs_sum_##SUFFIX(hinges[i], left[i]);                         \
    for (ptrdiff_t j = 0; j < classes && counts; j++)                                                                  \
        for (uint32_t given = which[j]; given; given &= given - 1) {                                                   \
            int i = __builtin_ctz(given);                                                                              \
            owed[j * FL_ACROSS + i] = own[seen[i]++ * FL_ACROSS + i];                                                  \
        }                                                                                                              \
    for (int i = 0; i < FL_ACROSS; i++)                                                                                \
        if (wild[i]) hinges[i] = fl_pairs_any_##SUFFIX(z + i, y + i, FL_ACROSS, classes, margin, counts ? owed + i : NULL); \
}                                                                                                                      \
/* Along a row: some targets at a time, each held against stretches of all classes. */                                 \
FL_INLINE REAL fl_pairs_along_##SUFFIX(const REAL *z, const REAL *y, ptrdiff_t classes, REAL margin, REAL *owed, int counts) \
{                                                                                                                      \
    REAL others[FL_PAIRED], debts[FL_PAIRED], hinges[W], left[W], all = 0, rest = 0;                                   \
    ptrdiff_t at[FL_OWN], j = 0, n;                                                                                    \
    INT hit[FL_OWN], wild = !(margin <= BIG && margin >= -BIG);                                                        \
    VECTOR total = {0}, lost = {0}, high, low;                                                                         \
    for (ptrdiff_t k = 0; k < classes; k++) wild |= fl_pairs_wild_##SUFFIX(z[k], y[k]);                                \
    if (wild) return fl_pairs_any_##SUFFIX(z, y, 1, classes, margin, counts ? owed : NULL);                            \
    if (counts) memset(owed, 0, classes * sizeof(REAL));                                                               \
    for (;;) {                                                                                                         \
        for (n = 0; j < classes && n < FL_OWN; j++) at[n] = j, hit[n] = 0, n += y[j] != 0;                             \
        if (!n) break;                                                                                                 \
        for (ptrdiff_t b = 0; b < classes; b += FL_PAIRED) {                                                           \
            ptrdiff_t m = classes - b < FL_PAIRED ? classes - b : FL_PAIRED, full = (m + 4 * W - 1) & -(4 * W);        \
            for (ptrdiff_t k = 0; k < m; k++) others[k] = fl_pairs_other_##SUFFIX(z[b + k], y[b + k]);                 \
            for (ptrdiff_t k = m; k < full; k++) others[k] = -4 * BIG;                                                 \
            if (counts) memset(debts, 0, full * sizeof(REAL));                                                         \
            for (ptrdiff_t t = 0; t < n; t++) {                                                                        \
                MASK in, hits = {0};                                                                                   \
                fl_pairs_lead_##SUFFIX(z[at[t]] - (VECTOR){0}, margin, &high, &low);                                   \
                for (ptrdiff_t k = 0; k < full; k += 4 * W) {                                                          \
                    VECTOR part = {0};                                                                                 \
                    for (int q = 0; q < 4 * W; q += W) {                                                               \
                        part += fl_pairs_hinge_##SUFFIX(fl_row_load_##SUFFIX(others + k + q), high, low, &in);         \
                        if (counts) hits += in, fl_pairs_count_##SUFFIX(debts + k + q, in);                            \
                    }                                                                                                  \
                    fl_pairs_add_##SUFFIX(&total, &lost, part);                                                        \
                }                                                                                                      \
                for (int l = 0; l < W && counts; l++) hit[t] += hits[l];                                               \
            }                                                                                                          \
            for (ptrdiff_t k = 0; k < m && counts; k++) owed[b + k] += debts[k];                                       \
        }                                                                                                              \
        for (ptrdiff_t t = 0; t < n && counts; t++) owed[at[t]] = (REAL)hit[t];                                        \
    }                                                                                                                  \
    fl_pairs_put_##SUFFIX(hinges, total);                                                                              \
    fl_pairs_put_##SUFFIX(left, lost);                                                                                 \
    for (int l = 0; l < W; l++) {                                                                                      \
        REAL sum = all + hinges[l], back = sum - all;                                                                  \
        rest += ((all - (sum - back)) + (hinges[l] - back)) + left[l];                                                 \
        all = sum;                                                                                                     \
    }                                                                                                                  \
    return fl_pairs_sum_##SUFFIX(all, rest);                                                                           \
}                                                                                                                      \
/* owed: NULL if it is not wanted */                                                                                   \
static void fl_pairs_lanes_##SUFFIX(const REAL *z, const REAL *y, ptrdiff_t classes, REAL margin, REAL *hinges, REAL *owed) \
{                                                                                                                      \
    if (owed) fl_pairs_across_##SUFFIX(z, y, classes, margin, hinges, owed, 1);                                        \
    else fl_pairs_across_##SUFFIX(z, y, classes, margin, hinges, owed, 0);                                             \
}                                                                                                                      \
static REAL fl_pairs_row_##SUFFIX(const REAL *z, const REAL *y, ptrdiff_t classes, REAL margin, REAL *owed)            \
{                                                                                                                      \
    if (owed) return fl_pairs_along_##SUFFIX(z, y, classes, margin, owed, 1);                                          \
    return fl_pairs_along_##SUFFIX(z, y, classes, margin, owed, 0);                                                    \
}
FL_DEFINE_PAIRS(f32, float, int32_t, fl_v16, fl_i16, 16, 0x1p124f)
FL_DEFINE_PAIRS(f64, double, int64_t, fl_v8, fl_i8, 8, 0x1p1020)
#endif
