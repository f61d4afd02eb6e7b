/* The exact sum of tiles of float32 or float64 values: the same bits for any order, thread count or split.
 *
 * Two layers. The total is a superaccumulator. What goes there are the contents of a few lanes of doubles, vector registers' worth,
 * in which tiles gather by error-free extraction (S. Rump, T. Ogita, S. Oishi, "Accurate floating-point summation part I", 2008):
 *
 *   s lies in [2^k, 2^(k+1));  t = s + v;  q = t - s;  r = v - q;  s = t
 *
 * q is v rounded to a multiple of ulp(2^k) and r is what is left, both without error as long as s stays in its binade. So s
 * gathers the high parts exactly, and the r, which are at least 2^52 times smaller than s, are gathered in the same way or by plain
 * additions, exact as well if the tile's smallest value is not too small. Lanes keep their k from tile to tile; whether a tile suits
 * them is seen from the range of its exponents, by integer instructions that run beside the additions.
 *
 * Needs round-to-nearest and no -fassociative-math. Vectors are the compiler's own extension (GCC, clang), as wide as the
 * instruction set: since the sums are exact, the width cannot change a result.
 */
#ifndef FASTLOSS_EXACTSUM_H
#define FASTLOSS_EXACTSUM_H
#include "inline.h"
#include "superaccumulator.h"
#include "tile.h"
#if defined(__AVX__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define FL_VECTOR 64
#elif defined(__AVX__)
#define FL_VECTOR 32
#else
#define FL_VECTOR 16
#endif
#define FL_DOUBLES (FL_VECTOR / 8)
typedef double fl_vd __attribute__((vector_size(FL_VECTOR)));

/* Exponents of the largest and of the smallest nonzero magnitude of a tile, as in the format's own exponent field (subnormals: 0).
 * largest == the field's maximum means that an infinity or NaN is among them; all zero: largest < 0. */
typedef struct { int largest, smallest; } fl_range;

#define FL_DEFINE_RANGE(NAME, REAL, INT, UINT, FRACTION, TOP)                                                          \
static inline fl_range NAME(const REAL *values, ptrdiff_t n) {                                                         \
    INT largest = 0, smallest = TOP;                                                                                   \
    for (ptrdiff_t i = 0; i < n; i++) {                                                                                \
        union { REAL real; INT bits; } value = {values[i]};                                                            \
        INT magnitude = value.bits & TOP;                                                                              \
        INT below = (INT)((UINT)magnitude - 1) & TOP;   /* zero becomes the largest of all */                          \
        largest = magnitude > largest ? magnitude : largest;                                                           \
        smallest = below < smallest ? below : smallest;                                                                \
    }                                                                                                                  \
    return (fl_range){largest ? (int)(largest >> FRACTION) : -1, (int)(((UINT)smallest + 1) >> FRACTION)};             \
}
FL_DEFINE_RANGE(fl_range_f32, float, int32_t, uint32_t, 23, 0x7fffffff)
FL_DEFINE_RANGE(fl_range_f64, double, int64_t, uint64_t, 52, 0x7fffffffffffffff)

/* The middle of the binade [2^exponent, 2^(exponent + 1)): sums may stray half a binade either way. */
static inline double fl_sigma(int exponent) { return 1.5 * fl_two_to(exponent); }

static inline fl_vd fl_vector_f64(const double *p) { fl_vd v; memcpy(&v, p, sizeof v); return v; }
#if defined(__AVX512F__)   /* GCC 12 makes three instructions of __builtin_convertvector where one would do */
static inline fl_vd fl_vector_f32(const float *p) { return (fl_vd)_mm512_cvtps_pd(_mm256_loadu_ps(p)); }
#elif defined(__AVX__)
static inline fl_vd fl_vector_f32(const float *p) { return (fl_vd)_mm256_cvtps_pd(_mm_loadu_ps(p)); }
#else
static inline fl_vd fl_vector_f32(const float *p) {
    float v __attribute__((vector_size(FL_VECTOR / 2)));
    memcpy(&v, p, sizeof v);
    return __builtin_convertvector(v, fl_vd);
}
#endif
static inline double fl_total(fl_vd v) {
    double total = 0.0;
    for (int lane = 0; lane < FL_DOUBLES; lane++) total += v[lane];
    return total;
}

/* One fold: s takes the high part of v, v keeps the rest. Half of its additions are written as x * 1 + y, which is the same to the
 * bit: where adders and multipliers are separate units (Zen 4) both work, and a fold from cache takes two thirds of the time. `one`
 * must be hidden from the compiler, or it would see through that. */
#if defined(__AVX512F__)
#define FL_PLUS(x, y) ((fl_vd)_mm512_fmadd_pd((__m512d)(x), (__m512d)one, (__m512d)(y)))
#define FL_LESS(x, y) ((fl_vd)_mm512_fnmadd_pd((__m512d)(y), (__m512d)one, (__m512d)(x)))
#define FL_HIDDEN_ONE fl_vd one = (fl_vd){0} + 1.0; __asm__("" : "+v"(one))
#else
#define FL_PLUS(x, y) ((x) + (y))
#define FL_LESS(x, y) ((x) - (y))
#define FL_HIDDEN_ONE
#endif
#define FL_FOLD(s, v) do { fl_vd sum_ = s + v, part_ = sum_ - s; v = FL_LESS(v, part_); s = sum_; } while (0)

/* A running sum of tiles, all float32 or all float64. In each of FL_LANES lanes `high` stays within the binade of 2^k, `middle` within
 * that of 2^m, and `low` is a plain sum. At most 2^r values go in before the lanes are emptied into the total. With values below
 * 2^(k - r + 1), m = k - 54 + r and at least 8 lanes every step is exact:
 *
 *   high    a lane gathers less than 2^(k - 2): it stays in its binade; all lanes together are below 2^(k + 1), a multiple of
 *           2^(k - 52): 53 bits
 *   middle  rests of one fold are at most 2^(k - 53), all of them together 2^(m + 1), in a lane 2^(m - 2), multiples of 2^(m - 52)
 *   low     rests of two folds are at most 2^(m - 53): together 2^(m - 53 + r), exact where they are multiples of 2^(m - 106 + r)
 *
 * So one fold (rests added to middle) is exact for values that are multiples of 2^(m - 52), two are for multiples of 2^(m - 106 + r),
 * and float32 values may be added up in each lane before they are folded, which costs next to nothing, if they are multiples of
 * 2^(k - r + 1 - 53) times the number of rows of a tile. What the range of exponents in a tile allows decides. A large r means that
 * lanes are emptied seldom, a small one leaves more exponents to float64. */
#define FL_LANES (4 * FL_DOUBLES)
#define FL_ROWS_LOG2 (FL_VECTOR == 64 ? 3 : FL_VECTOR == 32 ? 4 : 5) /* of the rows of a tile, FL_TILE / FL_LANES */
#define FL_R(REAL) (sizeof(REAL) == 4 ? 16 : 13)

typedef struct {
    double high[FL_LANES], middle[FL_LANES], low[FL_LANES];
    int k, m, open, mixed;
    int room; /* rows that the lanes can still take, times FL_LANES */
} __attribute__((aligned(64))) fl_sum; /* all zero at the start */

/* Empty the lanes into the total. */
static void fl_sum_close(fl_sum *sum, fl_exact *total) {
    if (!sum->open) return;
    const fl_vd big = (fl_vd){0} + fl_sigma(sum->k), mid = (fl_vd){0} + fl_sigma(sum->m);
    fl_vd high = {0}, middle = {0}, low = {0};
    for (int lane = 0; lane < FL_LANES; lane += FL_DOUBLES) {
        high += fl_vector_f64(sum->high + lane) - big;
        middle += fl_vector_f64(sum->middle + lane) - mid;
        low += fl_vector_f64(sum->low + lane);
    }
    fl_exact_add(total, fl_total(high));
    fl_exact_add(total, fl_total(middle));
    fl_exact_add(total, fl_total(low));
    sum->open = sum->room = 0;
}
/* Ready the lanes for 2^r values. */
static void fl_sum_open(fl_sum *sum, fl_exact *total, int k, int r) {
    fl_sum_close(sum, total);
    for (int lane = 0; lane < FL_LANES; lane++) {
        sum->high[lane] = fl_sigma(k);
        sum->middle[lane] = fl_sigma(k - 54 + r);
        sum->low[lane] = 0.0;
    }
    sum->k = k;
    sum->m = k - 54 + r;
    sum->open = 1;
    sum->room = 1 << r;
}

#define FL_EACH(DO) DO(0) DO(1) DO(2) DO(3)
#define FL_LOAD_HIGH(i) fl_vd s##i = fl_vector_f64(sum->high + i * FL_DOUBLES);
#define FL_LOAD_MIDDLE(i) fl_vd t##i = fl_vector_f64(sum->middle + i * FL_DOUBLES);
#define FL_LOAD_LOW(i) fl_vd u##i = fl_vector_f64(sum->low + i * FL_DOUBLES);
#define FL_STORE_HIGH(i) memcpy(sum->high + i * FL_DOUBLES, &s##i, sizeof s##i);
#define FL_STORE_MIDDLE(i) memcpy(sum->middle + i * FL_DOUBLES, &t##i, sizeof t##i);
#define FL_STORE_LOW(i) memcpy(sum->low + i * FL_DOUBLES, &u##i, sizeof u##i);
#define FL_FOLD_HIGH(i) FL_FOLD(s##i, v##i);
#define FL_FOLD_MIDDLE(i) FL_FOLD(t##i, v##i);
#define FL_ADD_MIDDLE(i) t##i = FL_PLUS(v##i, t##i);
#define FL_ADD_LOW(i) u##i = FL_PLUS(v##i, u##i);
#define FL_ADD_PLAIN(i) v##i += x##i;
#define FL_ZERO(i) fl_vd v##i = {0};

/* The rows of a tile; the last is filled up with zeros. */
#define FL_ROWS(REAL, LOAD, NAME, BODY) do {                                                                           \
    ptrdiff_t row_ = 0;                                                                                                \
    for (; row_ + FL_LANES <= n; row_ += FL_LANES) {                                                                   \
        fl_vd NAME##0 = LOAD(x + row_), NAME##1 = LOAD(x + row_ + FL_DOUBLES);                                         \
        fl_vd NAME##2 = LOAD(x + row_ + 2 * FL_DOUBLES), NAME##3 = LOAD(x + row_ + 3 * FL_DOUBLES);                    \
        BODY                                                                                                           \
    }                                                                                                                  \
    if (row_ < n) {                                                                                                    \
        REAL rest_[FL_LANES] = {0};                                                                                    \
        memcpy(rest_, x + row_, (size_t)(n - row_) * sizeof(REAL));                                                    \
        fl_vd NAME##0 = LOAD(rest_), NAME##1 = LOAD(rest_ + FL_DOUBLES);                                               \
        fl_vd NAME##2 = LOAD(rest_ + 2 * FL_DOUBLES), NAME##3 = LOAD(rest_ + 3 * FL_DOUBLES);                          \
        BODY                                                                                                           \
    }                                                                                                                  \
} while (0)

/* How a tile can be added to the open lanes. */
enum { FL_PLAIN, FL_ONE_FOLD, FL_TWO_FOLDS, FL_NOT };

/* Bounds on magnitudes, as bit patterns with the sign shifted out: below `top`, and where not 0 at least `least` for each way. */
#define FL_DEFINE_BOUNDS(SUFFIX, REAL, UINT, BIAS, FRACTION)                                                           \
FL_INLINE UINT fl_bound_##SUFFIX(int exponent) { /* of 2^exponent; of all there is if that is beyond the format */ \
    int field = exponent + BIAS;                                                                                       \
    return field < 1 ? 2 : (UINT)(field > 2 * BIAS ? 2 * BIAS + 1 : field) << (FRACTION + 1);                          \
}                                                                                                                      \
FL_INLINE UINT fl_top_##SUFFIX(int k) { return fl_bound_##SUFFIX(k - FL_R(REAL) + 1); }                            \
FL_INLINE int fl_unit_##SUFFIX(int k, int way) { /* what values must be multiples of: 2^unit */                    \
    const int r = FL_R(REAL), m = k - 54 + r;                                                                          \
    return way == FL_PLAIN ? k - r + 1 - 53 + FL_ROWS_LOG2 : way == FL_ONE_FOLD ? m - 52 : m - 106 + r;                \
}                                                                                                                      \
FL_INLINE UINT fl_least_##SUFFIX(int k, int way) { return fl_bound_##SUFFIX(fl_unit_##SUFFIX(k, way) + FRACTION); }
FL_DEFINE_BOUNDS(f32, float, uint32_t, 127, 23)
FL_DEFINE_BOUNDS(f64, double, uint64_t, 1023, 52)

/* The way for a tile. Most tiles hold positive numbers alone: for those one subtraction tells numbers within the bounds of the
 * cheapest way from all others (zeros and signs included), which then have a closer look. `mixed` remembers what the tiles are like. */
#define FL_DEFINE_WAY(SUFFIX, REAL, UINT, VECTOR, STEP, LOAD, ADD, SUB, MAX, MIN, SPLAT, EXCEEDS)                      \
FL_INLINE int fl_simple_##SUFFIX(const REAL *x, ptrdiff_t n, int k, int way) {                                     \
    UINT least = fl_least_##SUFFIX(k, way) >> 1, most = (fl_top_##SUFFIX(k) >> 1) - 1 - least;                         \
    const VECTOR low = SPLAT(least);                                                                                   \
    VECTOR a = SPLAT(0), b = a;                                                                                        \
    ptrdiff_t i = 0;                                                                                                   \
    for (; i + 2 * STEP <= n; i += 2 * STEP) {                                                                         \
        a = MAX(a, SUB(LOAD((const void *)(x + i)), low));                                                             \
        b = MAX(b, SUB(LOAD((const void *)(x + i + STEP)), low));                                                      \
    }                                                                                                                  \
    return i == n && !EXCEEDS(MAX(a, b), SPLAT(most));                                                                 \
}                                                                                                                      \
FL_INLINE int fl_way_##SUFFIX(const REAL *x, ptrdiff_t n, int k, int *mixed) {                                     \
    int way = sizeof(REAL) == 4 ? FL_PLAIN : FL_ONE_FOLD;                                                              \
    if (!*mixed && fl_simple_##SUFFIX(x, n, k, way)) return way;                                                       \
    const VECTOR minus_one = SPLAT(-1);                                                                                \
    VECTOR max = SPLAT(0), min = minus_one;                                                                            \
    ptrdiff_t i = 0;                                                                                                   \
    for (; i + STEP <= n; i += STEP) {                                                                                 \
        VECTOR a = LOAD((const void *)(x + i));                                                                        \
        a = ADD(a, a);                                                                                                 \
        max = MAX(max, a);                                                                                             \
        min = MIN(min, ADD(a, minus_one)); /* 0 becomes the largest number */                                          \
    }                                                                                                                  \
    if (i < n) {                                                                                                       \
        REAL rest[STEP] = {0};                                                                                         \
        memcpy(rest, x + i, (size_t)(n - i) * sizeof(REAL));                                                           \
        VECTOR a = LOAD((const void *)rest);                                                                           \
        a = ADD(a, a);                                                                                                 \
        max = MAX(max, a);                                                                                             \
        min = MIN(min, ADD(a, minus_one));                                                                             \
    }                                                                                                                  \
    if (EXCEEDS(max, SPLAT(fl_top_##SUFFIX(k) - 1))) return FL_NOT;                                                    \
    if (!EXCEEDS(SPLAT(fl_least_##SUFFIX(k, way) - 1), min)) { *mixed = 1; return way; }                               \
    while (++way < FL_NOT && EXCEEDS(SPLAT(fl_least_##SUFFIX(k, way) - 1), min)) continue;                             \
    return way;                                                                                                        \
}
#if defined(__AVX512F__)
#define FL_EXCEEDS_32(a, b) _mm512_cmpgt_epu32_mask(a, b)
#define FL_EXCEEDS_64(a, b) _mm512_cmpgt_epu64_mask(a, b)
FL_DEFINE_WAY(f32, float, uint32_t, __m512i, 16, _mm512_loadu_si512, _mm512_add_epi32, _mm512_sub_epi32, _mm512_max_epu32, _mm512_min_epu32, _mm512_set1_epi32, FL_EXCEEDS_32)
FL_DEFINE_WAY(f64, double, uint64_t, __m512i, 8, _mm512_loadu_si512, _mm512_add_epi64, _mm512_sub_epi64, _mm512_max_epu64, _mm512_min_epu64, _mm512_set1_epi64, FL_EXCEEDS_64)
#else
#define FL_DEFINE_WAY_BY_RANGE(SUFFIX, REAL, BIAS, FRACTION)                                                           \
FL_INLINE int fl_way_##SUFFIX(const REAL *x, ptrdiff_t n, int k, int *mixed) {                                     \
    (void)mixed;                                                                                                       \
    fl_range range = fl_range_##SUFFIX(x, n);                                                                          \
    int unit = (range.smallest ? range.smallest : 1) - BIAS - FRACTION;                                                \
    if (range.largest > 2 * BIAS || range.largest - BIAS > k - FL_R(REAL)) return FL_NOT;                              \
    int way = sizeof(REAL) == 4 ? FL_PLAIN : FL_ONE_FOLD;                                                              \
    while (way < FL_NOT && unit < fl_unit_##SUFFIX(k, way)) way++;                                                     \
    return way;                                                                                                        \
}
#if defined(__AVX2__)
#define FL_LOAD_256(p) _mm256_loadu_si256((const __m256i *)(p))
#define FL_EXCEEDS_32(a, b) (_mm256_movemask_epi8(_mm256_cmpeq_epi32(_mm256_max_epu32(a, b), b)) != -1)
FL_DEFINE_WAY(f32, float, uint32_t, __m256i, 8, FL_LOAD_256, _mm256_add_epi32, _mm256_sub_epi32, _mm256_max_epu32, _mm256_min_epu32, _mm256_set1_epi32, FL_EXCEEDS_32)
#else
FL_DEFINE_WAY_BY_RANGE(f32, float, 127, 23)
#endif
FL_DEFINE_WAY_BY_RANGE(f64, double, 1023, 52)
#endif

#define FL_DEFINE_SUM(SUFFIX, REAL, BIAS, FRACTION)                                                                    \
/* Add n <= FL_TILE values to the open lanes, if they can take them; else return 0. */                                 \
FL_INLINE int fl_sum_try_##SUFFIX(fl_sum *sum, fl_exact *total, const REAL *x, ptrdiff_t n) {                      \
    int rows = (int)((n + FL_LANES - 1) / FL_LANES) * FL_LANES, way;                                                   \
    way = fl_way_##SUFFIX(x, n, sum->k, &sum->mixed);                                                                  \
    if (way == FL_NOT || !sum->open) return 0;                                                                         \
    if (rows > sum->room) fl_sum_open(sum, total, sum->k, FL_R(REAL));                                                 \
    sum->room -= rows;                                                                                                 \
    FL_HIDDEN_ONE;                                                                                                     \
    FL_EACH(FL_LOAD_HIGH)                                                                                              \
    FL_EACH(FL_LOAD_MIDDLE)                                                                                            \
    if (sizeof(REAL) == 4 && way == FL_PLAIN) {                                                                        \
        FL_EACH(FL_ZERO)                                                                                               \
        FL_ROWS(REAL, fl_vector_##SUFFIX, x, FL_EACH(FL_ADD_PLAIN));                                                   \
        FL_EACH(FL_FOLD_HIGH)                                                                                          \
        FL_EACH(FL_ADD_MIDDLE)                                                                                         \
    } else if (way == FL_ONE_FOLD) {                                                                                   \
        FL_ROWS(REAL, fl_vector_##SUFFIX, v, FL_EACH(FL_FOLD_HIGH) FL_EACH(FL_ADD_MIDDLE));                            \
    } else {                                                                                                           \
        FL_EACH(FL_LOAD_LOW)                                                                                           \
        FL_ROWS(REAL, fl_vector_##SUFFIX, v, FL_EACH(FL_FOLD_HIGH) FL_EACH(FL_FOLD_MIDDLE) FL_EACH(FL_ADD_LOW));       \
        FL_EACH(FL_STORE_LOW)                                                                                          \
    }                                                                                                                  \
    FL_EACH(FL_STORE_HIGH)                                                                                             \
    FL_EACH(FL_STORE_MIDDLE)                                                                                           \
    return 1;                                                                                                          \
}                                                                                                                      \
/* Add n <= FL_TILE values of any exponents: the largest together, then the largest of the others. What is left after a few rounds, \
 * and what is too near the end of the doubles' range for lanes, goes to the total value by value. Returns as fl_sum_add. */ \
static __attribute__((noinline)) int fl_sum_hard_##SUFFIX(fl_sum *sum, fl_exact *total, const REAL *x, ptrdiff_t n) {  \
    REAL large[FL_TILE], small[FL_TILE];                                                                               \
    fl_range range = fl_range_##SUFFIX(x, n);                                                                          \
    if (range.largest > 2 * BIAS) return 1;                                                                            \
    for (int round = 0; round < 4; round++) {                                                                          \
        if (range.largest < 0) return 0;                                                                               \
        int k = range.largest - BIAS + 1 + FL_R(REAL); /* a binade above what is needed: the next tile may be larger */ \
        if (k > 1000) break;                                                                                           \
        if (k < 52 + 54 - FL_R(REAL) - 1074) k = 52 + 54 - FL_R(REAL) - 1074; /* 2^(m - 52) is the smallest subnormal */ \
        fl_sum_open(sum, total, k, FL_R(REAL));                                                                        \
        if (fl_sum_try_##SUFFIX(sum, total, x, n)) return 0;                                                           \
        REAL least = (REAL)fl_two_to(fl_unit_##SUFFIX(k, FL_TWO_FOLDS) + FRACTION);                                    \
        for (ptrdiff_t i = 0; i < n; i++) {                                                                            \
            REAL value = x[i];                                                                                         \
            int is_large = (value < 0 ? -value : value) >= least;                                                      \
            large[i] = is_large ? value : 0;                                                                           \
            small[i] = is_large ? 0 : value;                                                                           \
        }                                                                                                              \
        fl_sum_try_##SUFFIX(sum, total, large, n);                                                                     \
        range = fl_range_##SUFFIX(small, n);                                                                           \
        x = small;                                                                                                     \
    }                                                                                                                  \
    for (ptrdiff_t i = 0; i < n; i++) fl_exact_add(total, x[i]);                                                       \
    return 0;                                                                                                          \
}                                                                                                                      \
/* Add n <= FL_TILE values. Returns 0, or 1 with nothing added if an infinity or NaN is among them. */                 \
FL_INLINE int fl_sum_add_##SUFFIX(fl_sum *sum, fl_exact *total, const REAL *x, ptrdiff_t n) {                      \
    if (n <= 16 && !sum->open) { /* not worth opening the lanes for */                                                 \
        for (ptrdiff_t i = 0; i < n; i++) if (!(x[i] - x[i] == 0)) return 1;                                           \
        for (ptrdiff_t i = 0; i < n; i++) fl_exact_add(total, x[i]);                                                   \
        return 0;                                                                                                      \
    }                                                                                                                  \
    return __builtin_expect(fl_sum_try_##SUFFIX(sum, total, x, n), 1) ? 0 : fl_sum_hard_##SUFFIX(sum, total, x, n);    \
}
FL_DEFINE_SUM(f32, float, 127, 23)
FL_DEFINE_SUM(f64, double, 1023, 52)
#endif
