/* Rows of scores: reductions along a row whose order of operations is the same at every vector width, and the turning of tiles.
 *
 * A vector here is one of GCC's and Clang's own, 64 bytes: one register, two or four, depending on the instruction set, and the same
 * additions in the same order in each. */
#ifndef FASTLOSS_ROWS_H
#define FASTLOSS_ROWS_H
#include "inline.h"
#include "partition.h"
#include "tile.h"
#include "turn.h"
#include "vecmath.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FL_BLOCK 1024 /* classes at a time along a row: what stays in the first cache */
#define FL_SPARE 32   /* numbers of room behind rows that are worked on */
#define FL_WIDE 16    /* numbers at a time along a row */
#define FL_FEW 128    /* classes up to which samples lie across the lanes */
#define FL_LOOKED 10  /* classes up to which a label's is found by looking at all of them, which costs less than going there */

/* A tile of n <= FL_ACROSS samples as kernels see it. Pitches are in elements, from one row to the next; in the form of lanes they are
 * not looked at. What is not wanted is NULL. */
typedef struct {
    const void *z, *y, *c, *factor;
    const int *label;
    const double *parameters;
    ptrdiff_t n, classes, z_pitch, y_pitch, gradient_pitch, hessian_pitch;
    void *loss, *gradient, *hessian, *kept[2];
    int stream; /* outputs go past the caches */
    const char *ahead; /* what later scores are made of, and how much of that to ask for: per class of all samples, or per score */
    ptrdiff_t ahead_step;
} RowTile;

FL_INLINE int fl_pick(int condition, int yes, int no) { return condition ? yes : no; }
FL_INLINE int64_t fl_pick64(int condition, int64_t yes, int64_t no) { return condition ? yes : no; }

FL_INLINE double fl_rescaled(double sum, double base, double k, double new_base, double new_k)
{
    fl_scale then = {base, k}, now = {new_base, new_k};
    return sum * fl_rescale(then, now);
}

/* Ask for memory that is worked on soon, into the second cache: asked for by what first needs it, it would be waited for. */

FL_INLINE void fl_ahead(const char *from, ptrdiff_t size)
{
    for (ptrdiff_t i = 0; i < size; i += 64) __builtin_prefetch(from + i, 0, 2);
}

/* The same of a line that is written to soon, in part: the stores behind it would wait until all of it has come. */
FL_INLINE void fl_ahead_to_write(const char *to) { __builtin_prefetch(to, 1, 3); }

/* A 64-byte vector of any alignment; the sum of its numbers in a fixed order. */
typedef float fl_v16 __attribute__((vector_size(64)));
typedef double fl_v8 __attribute__((vector_size(64)));
typedef int32_t fl_i16 __attribute__((vector_size(64)));
typedef int64_t fl_i8 __attribute__((vector_size(64)));

/* The larger of two, number by number; and how many numbers may be skipped on the way to the first that equals a value. */
#if defined(__AVX512F__)
FL_INLINE fl_v16 fl_larger_f32(fl_v16 a, fl_v16 b) { return (fl_v16)_mm512_max_ps((__m512)a, (__m512)b); }
FL_INLINE fl_v8 fl_larger_f64(fl_v8 a, fl_v8 b) { return (fl_v8)_mm512_max_pd((__m512d)a, (__m512d)b); }
FL_INLINE ptrdiff_t fl_skip_f32(const float *x, ptrdiff_t n, float value)
{
    ptrdiff_t i = 0;
    while (i + 16 <= n && !_mm512_cmp_ps_mask(_mm512_loadu_ps(x + i), _mm512_set1_ps(value), _CMP_EQ_OQ)) i += 16;
    return i + 16 <= n ? i + __builtin_ctz(_mm512_cmp_ps_mask(_mm512_loadu_ps(x + i), _mm512_set1_ps(value), _CMP_EQ_OQ)) : i;
}
FL_INLINE ptrdiff_t fl_skip_f64(const double *x, ptrdiff_t n, double value)
{
    ptrdiff_t i = 0;
    while (i + 8 <= n && !_mm512_cmp_pd_mask(_mm512_loadu_pd(x + i), _mm512_set1_pd(value), _CMP_EQ_OQ)) i += 8;
    return i;
}
#else
#define FL_DEFINE_SKIP(SUFFIX, REAL, VECTOR, W)                                                                        \
FL_INLINE VECTOR fl_larger_##SUFFIX(VECTOR a, VECTOR b)                                                                \
{                                                                                                                      \
    REAL x[W], y[W];                                                                                                   \
    memcpy(x, &a, 64);                                                                                                 \
    memcpy(y, &b, 64);                                                                                                 \
    for (int i = 0; i < W; i++) x[i] = x[i] > y[i] ? x[i] : y[i];                                                      \
    memcpy(&a, x, 64);                                                                                                 \
    return a;                                                                                                          \
}                                                                                                                      \
FL_INLINE ptrdiff_t fl_skip_##SUFFIX(const REAL *x, ptrdiff_t n, REAL value)                                           \
{                                                                                                                      \
    ptrdiff_t i = 0;                                                                                                   \
    for (; i + W <= n; i += W) {                                                                                       \
        int any = 0;                                                                                                   \
        for (int k = 0; k < W; k++) any |= x[i + k] == value;                                                          \
        if (any) break;                                                                                                \
    }                                                                                                                  \
    return i;                                                                                                          \
}
FL_DEFINE_SKIP(f32, float, fl_v16, 16)
FL_DEFINE_SKIP(f64, double, fl_v8, 8)
#endif

static const fl_i16 fl_lane_f32 = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
static const fl_i8 fl_lane_f64 = {0, 1, 2, 3, 4, 5, 6, 7};
#if defined(__clang__)
#define FL_MIX(VECTOR, a, lanes) ({ VECTOR mixed_; for (int l_ = 0; l_ < (int)(sizeof(mixed_) / sizeof(mixed_[0])); l_++) mixed_[l_] = (a)[(lanes)[l_]]; mixed_; })
#else
#define FL_MIX(VECTOR, a, lanes) __builtin_shuffle(a, lanes)
#endif

typedef int32_t __attribute__((may_alias)) fl_alias_f32;
typedef int64_t __attribute__((may_alias)) fl_alias_f64;
#define FL_DEFINE_ROW(SUFFIX, REAL, INT, VECTOR, MASK, W)                                                              \
FL_INLINE VECTOR fl_row_load_##SUFFIX(const REAL *x) { VECTOR v; memcpy(&v, x, 64); return v; }                        \
/* The sum of n numbers: two vectors in turns, folded at the end. Writes zeros behind them, for which there must be room. */ \
FL_INLINE double fl_row_sum_##SUFFIX(REAL *x, ptrdiff_t n)                                                             \
{                                                                                                                      \
    VECTOR a = {0}, b = {0};                                                                                           \
    memset(x + n, 0, 128);                                                                                             \
    for (ptrdiff_t i = 0; i < n; i += 2 * W) {                                                                         \
        a += fl_row_load_##SUFFIX(x + i);                                                                              \
        b += fl_row_load_##SUFFIX(x + i + W);                                                                          \
    }                                                                                                                  \
    a += b;                                                                                                            \
    for (INT half = W / 2; half; half /= 2) a += FL_MIX(VECTOR, a, fl_lane_##SUFFIX ^ half);                           \
    return a[0];                                                                                                       \
}                                                                                                                      \
/* The largest of n >= 1 numbers; if there is NaN, that or NaN. */                                                     \
FL_INLINE REAL fl_row_max_##SUFFIX(const REAL *x, ptrdiff_t n)                                                         \
{                                                                                                                      \
    if (n < W) {                                                                                                       \
        REAL most = x[0];                                                                                              \
        for (ptrdiff_t i = 1; i < n; i++) most = (x[i] > most) | (x[i] != x[i]) ? x[i] : most;                         \
        return most;                                                                                                   \
    }                                                                                                                  \
    VECTOR a = fl_row_load_##SUFFIX(x), b = fl_row_load_##SUFFIX(x + n - W);                                           \
    ptrdiff_t i = W;                                                                                                   \
    for (; i + 2 * W <= n; i += 2 * W) {                                                                               \
        a = fl_larger_##SUFFIX(fl_row_load_##SUFFIX(x + i), a);                                                        \
        b = fl_larger_##SUFFIX(fl_row_load_##SUFFIX(x + i + W), b);                                                    \
    }                                                                                                                  \
    if (i + W <= n) a = fl_larger_##SUFFIX(fl_row_load_##SUFFIX(x + i), a);                                            \
    a = fl_larger_##SUFFIX(b, a);                                                                                      \
    for (INT half = W / 2; half; half /= 2) a = fl_larger_##SUFFIX(FL_MIX(VECTOR, a, fl_lane_##SUFFIX ^ half), a);     \
    return a[0];                                                                                                       \
}                                                                                                                      \
/* The same; NaN if there is one. */                                                                                   \
FL_INLINE REAL fl_row_max_or_nan_##SUFFIX(const REAL *x, ptrdiff_t n)                                                  \
{                                                                                                                      \
    INT nan = 0;                                                                                                       \
    for (ptrdiff_t i = 0; i < n; i++) nan |= x[i] != x[i];                                                             \
    return nan ? (REAL)NAN : fl_row_max_##SUFFIX(x, n);                                                                \
}                                                                                                                      \
/* Where the first number stands that equals `value`, which is among them (or is NaN, for the first NaN). */           \
FL_INLINE ptrdiff_t fl_row_find_##SUFFIX(const REAL *x, ptrdiff_t n, REAL value)                                       \
{                                                                                                                      \
    ptrdiff_t i = value == value ? fl_skip_##SUFFIX(x, n, value) : 0;                                                  \
    while (i < n - 1 && x[i] != value && x[i] == x[i]) i++;                                                            \
    return i;                                                                                                          \
}                                                                                                                      \
/* Across the lanes: the scores of the labels' classes, and what stands in them. With masks of bits: compilers would branch. */ \
FL_INLINE void fl_label_get_##SUFFIX(const REAL *z, const int *label, ptrdiff_t classes, REAL *to)                     \
{                                                                                                                      \
    INT found[FL_ACROSS] = {0};                                                                                        \
    const fl_alias_##SUFFIX *bits = (const fl_alias_##SUFFIX *)z;                                                      \
    for (int i = 0; i < FL_ACROSS && classes > FL_LOOKED; i++) to[i] = z[label[i] * FL_ACROSS + i];                    \
    if (classes > FL_LOOKED) return;                                                                                   \
    for (int j = 0; j < classes; j++, bits += FL_ACROSS)                                                               \
        for (int i = 0; i < FL_ACROSS; i++) found[i] |= bits[i] & -(INT)(label[i] == j);                               \
    memcpy(to, found, sizeof(found));                                                                                  \
}                                                                                                                      \
FL_INLINE void fl_label_put_##SUFFIX(REAL *to, const int *label, ptrdiff_t classes, const REAL *values)                \
{                                                                                                                      \
    INT put[FL_ACROSS];                                                                                                \
    fl_alias_##SUFFIX *bits = (fl_alias_##SUFFIX *)to;                                                                 \
    for (int i = 0; i < FL_ACROSS && classes > FL_LOOKED; i++) to[label[i] * FL_ACROSS + i] = values[i];               \
    if (classes > FL_LOOKED) return;                                                                                   \
    memcpy(put, values, sizeof(put));                                                                                  \
    for (int j = 0; j < classes; j++, bits += FL_ACROSS)                                                               \
        for (int i = 0; i < FL_ACROSS; i++) bits[i] ^= (bits[i] ^ put[i]) & -(INT)(label[i] == j);                     \
}
FL_DEFINE_ROW(f32, float, int32_t, fl_v16, fl_i16, 16)
FL_DEFINE_ROW(f64, double, int64_t, fl_v8, fl_i8, 8)

/* Store past the caches what is larger than they are, and would otherwise first be read into them, line by line. fl_fence() afterwards. */
#if defined(__AVX512F__) || defined(__SSE2__)
#if defined(__AVX512F__)
#define FL_LINE 64
#define FL_STREAM(to, from) _mm512_stream_si512((__m512i *)(to), _mm512_loadu_si512((const __m512i *)(from)))
#elif defined(__AVX__)
#define FL_LINE 32
#define FL_STREAM(to, from) _mm256_stream_si256((__m256i *)(to), _mm256_loadu_si256((const __m256i *)(from)))
#else
#define FL_LINE 16
#define FL_STREAM(to, from) _mm_stream_si128((__m128i *)(to), _mm_loadu_si128((const __m128i *)(from)))
#endif
static void fl_stream(void *to_, const void *from_, ptrdiff_t size)
{
    char *to = to_;
    const char *from = from_;
    ptrdiff_t at = (ptrdiff_t)(-(uintptr_t)to & 63);
    if (at > size) at = size;
    memcpy(to, from, at);
    for (; at + 64 <= size; at += 64)
        for (int k = 0; k < 64; k += FL_LINE) FL_STREAM(to + at + k, from + at + k);
    memcpy(to + at, from + at, size - at);
}
#define fl_fence() _mm_sfence()
#else
#define fl_stream(to, from, size) memcpy(to, from, size)
#define fl_fence() ((void)0)
#endif

FL_INLINE void fl_deliver(void *to, const void *from, ptrdiff_t size, int stream)
{
    if (stream) fl_stream(to, from, size);
    else memcpy(to, from, size);
}

/* One class of n samples across the lanes, as one stretch of float32 or of float64. All of the last FL_ACROSS are written: there must be
 * room. With lengths that compilers know. */
#define FL_DEFINE_STRETCH(SUFFIX, REAL)                                                                                \
static void fl_stretch_##SUFFIX(const REAL *from, ptrdiff_t classes, ptrdiff_t n, void *to, int size)                  \
{                                                                                                                      \
    for (ptrdiff_t i = 0; i < n; i += FL_ACROSS, from += classes * FL_ACROSS) {                                        \
        float *narrow = (float *)to + i;                                                                               \
        double *wide = (double *)to + i;                                                                               \
        if (size == 4) for (int k = 0; k < FL_ACROSS; k++) narrow[k] = (float)from[k];                                 \
        else for (int k = 0; k < FL_ACROSS; k++) wide[k] = (double)from[k];                                            \
    }                                                                                                                  \
}
FL_DEFINE_STRETCH(f32, float)
FL_DEFINE_STRETCH(f64, double)

/* Labels of any integer type as int64; a uint64 beyond that becomes -1, which no class has. */
#define FL_LABELS(T, READ)                                                                                             \
    if (stride == (ptrdiff_t)sizeof(T)) for (ptrdiff_t i = 0; i < n; i++) { T x; memcpy(&x, from + i * (ptrdiff_t)sizeof(T), sizeof(T)); to[i] = READ(x); } \
    else for (ptrdiff_t i = 0; i < n; i++) { T x; memcpy(&x, from + i * stride, sizeof(T)); to[i] = READ(x); }
#define FL_AS_IS(x) ((int64_t)(x))
#define FL_NOT_BEYOND(x) ((x) > INT64_MAX ? -1 : (int64_t)(x))
#define FL_SWAP16(x) ((int64_t)(int16_t)fl_swap2((uint16_t)(x)))
#define FL_SWAPU16(x) ((int64_t)fl_swap2(x))
#define FL_SWAP32(x) ((int64_t)(int32_t)fl_swap4((uint32_t)(x)))
#define FL_SWAPU32(x) ((int64_t)fl_swap4(x))
#define FL_SWAP64(x) ((int64_t)fl_swap8((uint64_t)(x)))
#define FL_SWAPU64(x) FL_NOT_BEYOND(fl_swap8(x))
static void fl_labels(const fl_array *a, ptrdiff_t start, ptrdiff_t n, int64_t *to)
{
    ptrdiff_t stride = a->stride;
    const char *from = a->data + start * stride;
    switch (a->code) {
        case FL_BOOL: case FL_U8: FL_LABELS(uint8_t, FL_AS_IS) break;
        case FL_I8: FL_LABELS(int8_t, FL_AS_IS) break;
        case FL_I16: if (a->swapped) { FL_LABELS(int16_t, FL_SWAP16) } else { FL_LABELS(int16_t, FL_AS_IS) } break;
        case FL_U16: if (a->swapped) { FL_LABELS(uint16_t, FL_SWAPU16) } else { FL_LABELS(uint16_t, FL_AS_IS) } break;
        case FL_I32: if (a->swapped) { FL_LABELS(int32_t, FL_SWAP32) } else { FL_LABELS(int32_t, FL_AS_IS) } break;
        case FL_U32: if (a->swapped) { FL_LABELS(uint32_t, FL_SWAPU32) } else { FL_LABELS(uint32_t, FL_AS_IS) } break;
        case FL_I64: if (a->swapped) { FL_LABELS(int64_t, FL_SWAP64) } else { FL_LABELS(int64_t, FL_AS_IS) } break;
        default: if (a->swapped) { FL_LABELS(uint64_t, FL_SWAPU64) } else { FL_LABELS(uint64_t, FL_NOT_BEYOND) }
    }
}
#endif
