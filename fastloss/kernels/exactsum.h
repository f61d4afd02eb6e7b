/* Exact sums: every sum of doubles that fastloss makes is exact, so it has the same bits for any order, thread count or split.
 *
 * Two layers. The accumulator is a fixed-point integer wide enough for every finite double (the "small superaccumulator" of
 * R. Neal, "Fast exact summation using small and large superaccumulators", 2015). Adding one double to it is scalar work of
 * about 2 ns, so a tile of values is first reduced to two or three doubles whose sum is exactly the tile's, in vector
 * registers, by error-free extraction (S. Rump, T. Ogita, S. Oishi, "Accurate floating-point summation part I", 2008):
 *
 *   s lies in [2^k, 2^(k+1));  t = s + v;  q = t - s;  r = v - q;  s = t
 *
 * q is v rounded to a multiple of ulp(2^k) and r is what is left, both without error as long as s stays in its binade. So s
 * gathers the high parts exactly, and the r, which are at least 2^52 times smaller than s, are gathered by plain additions that
 * are exact as well if the tile's smallest value is not too small. The largest and smallest magnitude, found first, decide how
 * many such folds are needed; what no fold can take goes to the accumulator value by value.
 *
 * Needs round-to-nearest and no -fassociative-math. Vectors are the compiler's own extension (GCC, clang), as wide as the
 * instruction set: since the sums are exact, the width cannot change a result.
 */
#ifndef FASTLOSS_EXACTSUM_H
#define FASTLOSS_EXACTSUM_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__AVX__)
#include <immintrin.h>
#endif

#define FL_LIMBS 68         /* 32 bits each: 2^-1088 up to 2^1024, and 64 bits of carries beyond */
#define FL_BIAS 1088        /* bit 0 of limb 0 weighs 2^-1088 */
#define FL_MAX_TILE 2048    /* the folds' headroom is proven for tiles of at most 2^11 values */

typedef struct {
    int64_t limb[FL_LIMBS]; /* signed; each holds its 32 bits and the carries not yet passed on */
    int64_t deposits;       /* since carries were last passed on */
} fl_exact;

static inline void fl_exact_clear(fl_exact *acc) { memset(acc, 0, sizeof *acc); }

/* Pass carries on, so that all limbs but the last lie in [0, 2^32). */
static inline void fl_exact_carry(fl_exact *acc) {
    int64_t carry = 0;
    for (int i = 0; i < FL_LIMBS - 1; i++) {
        int64_t limb = acc->limb[i] + carry;
        carry = limb >> 32;
        acc->limb[i] = limb & 0xffffffff;
    }
    acc->limb[FL_LIMBS - 1] += carry;
    acc->deposits = 0;
}

/* Add one finite double. */
static inline void fl_exact_add(fl_exact *acc, double value) {
    uint64_t bits;
    memcpy(&bits, &value, 8);
    uint64_t mantissa = bits & 0xfffffffffffffu;
    int exponent = (int)(bits >> 52) & 0x7ff;
    if (exponent) mantissa |= 1ull << 52; else exponent = 1;
    int position = exponent - 1075 + FL_BIAS, shift = position & 31;
    int64_t *limb = acc->limb + (position >> 5);
    int64_t low = (int64_t)((mantissa << shift) & 0xffffffffu);
    int64_t middle = (int64_t)((mantissa >> (32 - shift)) & 0xffffffffu);
    int64_t high = (int64_t)((mantissa >> 32) >> (32 - shift));
    if (bits >> 63) { limb[0] -= low; limb[1] -= middle; limb[2] -= high; }
    else { limb[0] += low; limb[1] += middle; limb[2] += high; }
    if (++acc->deposits >= (1 << 30)) fl_exact_carry(acc);
}

static inline void fl_exact_merge(fl_exact *acc, fl_exact *other) {
    fl_exact_carry(acc);
    fl_exact_carry(other);
    for (int i = 0; i < FL_LIMBS; i++) acc->limb[i] += other->limb[i];
    acc->deposits = 1;
}

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

#define FL_DEFINE_RANGE(NAME, REAL, INT, UINT, FRACTION, TOP)                                           \
static inline fl_range NAME(const REAL *values, ptrdiff_t n) {                                         \
    INT largest = 0, smallest = TOP;                                                                   \
    for (ptrdiff_t i = 0; i < n; i++) {                                                                \
        union { REAL real; INT bits; } value = {values[i]};                                            \
        INT magnitude = value.bits & TOP;                                                              \
        INT below = (INT)((UINT)magnitude - 1) & TOP;   /* zero becomes the largest of all */          \
        largest = magnitude > largest ? magnitude : largest;                                           \
        smallest = below < smallest ? below : smallest;                                                \
    }                                                                                                  \
    return (fl_range){largest ? (int)(largest >> FRACTION) : -1, (int)(((UINT)smallest + 1) >> FRACTION)}; \
}
FL_DEFINE_RANGE(fl_range_f32, float, int32_t, uint32_t, 23, 0x7fffffff)
FL_DEFINE_RANGE(fl_range_f64, double, int64_t, uint64_t, 52, 0x7fffffffffffffff)

static inline double fl_two_to(int exponent) {
    uint64_t bits = (uint64_t)(exponent + 1023) << 52;
    double power;
    memcpy(&power, &bits, 8);
    return power;
}
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
#define FL_HIDDEN_ONE(zero) fl_vd one = zero + 1.0; __asm__("" : "+v"(one))
#else
#define FL_PLUS(x, y) ((x) + (y))
#define FL_LESS(x, y) ((x) - (y))
#define FL_HIDDEN_ONE(zero)
#endif
#define FL_FOLD(s, v) do { fl_vd sum_ = s + v, part_ = sum_ - s; v = FL_LESS(v, part_); s = sum_; } while (0)
#define FL_FOLD_ONE(s, v) do { double sum_ = s + v, part_ = sum_ - s; v -= part_; s = sum_; } while (0)

/* Reduce n <= FL_MAX_TILE finite values to FOLDS + 1 doubles and add those: FOLDS folds (0, 1 or 2) and a plain sum of the rest.
 * With k = E + 12 for |v| < 2^(E + 1), every partial sum of a fold stays inside its binade, lanes and all, and so is exact;
 * the rest of fold j is below 2^(k_j - 53) and adds up exactly if its unit is at least 2^(k_j - 53 + 11 - 53). */
#define FL_DEFINE_FOLDS(NAME, REAL, LOAD, FOLDS)                                                        \
static inline void NAME(fl_exact *acc, const REAL *x, ptrdiff_t n, int k) {                            \
    const fl_vd zero = {0}, big = zero + fl_sigma(k), small = zero + fl_sigma(k - 42);                 \
    fl_vd s0 = big, s1 = big, s2 = big, s3 = big;                                                      \
    fl_vd t0 = small, t1 = small, t2 = small, t3 = small;                                              \
    fl_vd u0 = zero, u1 = zero, u2 = zero, u3 = zero;                                                  \
    double s = fl_sigma(k), t = fl_sigma(k - 42), u = 0.0;                                             \
    FL_HIDDEN_ONE(zero);                                                                               \
    ptrdiff_t i = 0;                                                                                   \
    for (; i + 4 * FL_DOUBLES <= n; i += 4 * FL_DOUBLES) {                                             \
        fl_vd a = LOAD(x + i), b = LOAD(x + i + FL_DOUBLES);                                           \
        fl_vd c = LOAD(x + i + 2 * FL_DOUBLES), d = LOAD(x + i + 3 * FL_DOUBLES);                      \
        if (FOLDS > 0) { FL_FOLD(s0, a); FL_FOLD(s1, b); FL_FOLD(s2, c); FL_FOLD(s3, d); }             \
        if (FOLDS > 1) { FL_FOLD(t0, a); FL_FOLD(t1, b); FL_FOLD(t2, c); FL_FOLD(t3, d); }             \
        u0 = FL_PLUS(a, u0); u1 = FL_PLUS(b, u1); u2 = FL_PLUS(c, u2); u3 = FL_PLUS(d, u3);            \
    }                                                                                                  \
    for (; i < n; i++) {                                                                               \
        double v = x[i];                                                                               \
        if (FOLDS > 0) FL_FOLD_ONE(s, v);                                                              \
        if (FOLDS > 1) FL_FOLD_ONE(t, v);                                                              \
        u += v;                                                                                        \
    }                                                                                                  \
    if (FOLDS > 0)                                                                                     \
        fl_exact_add(acc, (s - fl_sigma(k)) + fl_total(((s0 - big) + (s1 - big)) + ((s2 - big) + (s3 - big)))); \
    if (FOLDS > 1)                                                                                     \
        fl_exact_add(acc, (t - fl_sigma(k - 42)) + fl_total(((t0 - small) + (t1 - small)) + ((t2 - small) + (t3 - small)))); \
    fl_exact_add(acc, u + fl_total((u0 + u1) + (u2 + u3)));                                            \
}
FL_DEFINE_FOLDS(fl_plain_f32, float, fl_vector_f32, 0)
FL_DEFINE_FOLDS(fl_once_f32, float, fl_vector_f32, 1)
FL_DEFINE_FOLDS(fl_twice_f32, float, fl_vector_f32, 2)
FL_DEFINE_FOLDS(fl_plain_f64, double, fl_vector_f64, 0)
FL_DEFINE_FOLDS(fl_once_f64, double, fl_vector_f64, 1)
FL_DEFINE_FOLDS(fl_twice_f64, double, fl_vector_f64, 2)

/* Add n <= FL_MAX_TILE values. Returns 0, or 1 with nothing added if an infinity or NaN is among them. */
#define FL_DEFINE_ADD_TILE(SUFFIX, REAL, BIAS, FRACTION)                                                \
static inline int fl_exact_add_tile_##SUFFIX(fl_exact *acc, const REAL *x, ptrdiff_t n) {              \
    if (n < 8) { /* not worth finding a range for */                                                   \
        for (ptrdiff_t i = 0; i < n; i++) if (!(x[i] - x[i] == 0)) return 1;                           \
        for (ptrdiff_t i = 0; i < n; i++) fl_exact_add(acc, x[i]);                                     \
        return 0;                                                                                      \
    }                                                                                                  \
    fl_range range = fl_range_##SUFFIX(x, n);                                                          \
    if (range.largest < 0) return 0;                                                                   \
    if (range.largest > 2 * BIAS) return 1;                                                            \
    int k = range.largest - BIAS + 12;                                                                 \
    int unit = (range.smallest ? range.smallest : 1) - BIAS - FRACTION;                                \
    if (unit >= k - 53) fl_plain_##SUFFIX(acc, x, n, 0);                                               \
    else if (k > 1000) for (ptrdiff_t i = 0; i < n; i++) fl_exact_add(acc, x[i]);                      \
    else if (unit >= k - 95) fl_once_##SUFFIX(acc, x, n, k);                                           \
    else if (unit >= k - 137 && k > -900) fl_twice_##SUFFIX(acc, x, n, k);                             \
    else for (ptrdiff_t i = 0; i < n; i++) fl_exact_add(acc, x[i]);                                    \
    return 0;                                                                                          \
}
FL_DEFINE_ADD_TILE(f32, float, 127, 23)
FL_DEFINE_ADD_TILE(f64, double, 1023, 52)

/* The sum divided by a count, correctly rounded; *exact = 0 if the general (Python) way has to do it: results near the ends of
 * the range of doubles. The leading 128 bits are divided as one integer; what is below them only decides ties. */
static inline double fl_exact_mean(fl_exact *acc, uint64_t count, int *exact) {
    fl_exact_carry(acc);
    int negative = acc->limb[FL_LIMBS - 1] < 0, top = FL_LIMBS - 1;
    if (negative) {
        for (int i = 0; i < FL_LIMBS; i++) acc->limb[i] = -acc->limb[i];
        fl_exact_carry(acc);
    }
    while (top >= 0 && acc->limb[top] == 0) top--;
    *exact = top < FL_LIMBS - 2 && top >= 6;
    if (top < 0) { *exact = 1; return 0.0; }
    if (!*exact) return 0.0;
    unsigned __int128 leading = 0, quotient;
    for (int i = 0; i < 4; i++) leading = leading << 32 | (uint64_t)acc->limb[top - i];
    int shift = __builtin_clzll((uint64_t)(leading >> 64)), sticky = 0;
    uint64_t next = (uint64_t)acc->limb[top - 4];   /* fills the up to 31 places that the top limb left empty */
    if (shift) leading = leading << shift | next >> (32 - shift);
    sticky = shift ? (next << (32 + shift)) != 0 : next != 0;
    for (int i = top - 5; i >= 0 && !sticky; i--) sticky = acc->limb[i] != 0;
    quotient = leading / count;
    sticky |= quotient * count != leading;
    int exponent = 32 * (top - 3) - shift - FL_BIAS;
    int length = quotient >> 64 ? 128 - __builtin_clzll((uint64_t)(quotient >> 64)) : 64 - __builtin_clzll((uint64_t)quotient);
    int drop = length - 53;
    if (drop < 2 || exponent + length < -1000 || exponent + length > 1020) { *exact = 0; return 0.0; }
    uint64_t mantissa = (uint64_t)(quotient >> drop);
    unsigned __int128 rest = quotient & (((unsigned __int128)1 << drop) - 1), half = (unsigned __int128)1 << (drop - 1);
    if (rest > half || (rest == half && (sticky || mantissa & 1))) mantissa++;
    double result = (double)mantissa * fl_two_to(exponent + drop);
    return negative ? -result : result;
}
#endif
