/* Rows of scores: reductions along a row whose order of operations is the same at every vector width, and the turning of tiles.
 *
 * A vector here is one of GCC's and Clang's own, 64 bytes: one register, two or four, depending on the instruction set, and the same
 * additions in the same order in each. */
#ifndef FASTLOSS_ROWS_H
#define FASTLOSS_ROWS_H
#include "inline.h"
#include "partition.h"
#include "tile.h"
#include "vecmath.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FL_ACROSS 32   /* samples of a tile, or rows whose statistics are finished together */
#define FL_BLOCK 1024 /* classes at a time along a row: what stays in the first cache */
#define FL_SPARE 32   /* numbers of room behind rows that are worked on */
#define FL_WIDE 16    /* numbers at a time along a row */
#define FL_FEW 64     /* classes up to which samples lie across the lanes */

/* A tile of n <= FL_ACROSS samples as kernels see it. Pitches are in elements, from one row to the next; in the form of lanes they are
 * not looked at. What is not wanted is NULL. */
typedef struct {
    const void *z, *y, *c, *factor;
    const int *label;
    const double *parameters;
    ptrdiff_t n, classes, z_pitch, y_pitch, gradient_pitch, hessian_pitch;
    void *loss, *gradient, *hessian, *kept[2];
    int stream; /* outputs go past the caches */
} RowTile;

FL_INLINE int fl_pick(int condition, int yes, int no) { return condition ? yes : no; }
FL_INLINE int64_t fl_pick64(int condition, int64_t yes, int64_t no) { return condition ? yes : no; }

FL_INLINE double fl_rescaled(double sum, double base, double k, double new_base, double new_k)
{
    fl_scale then = {base, k}, now = {new_base, new_k};
    return sum * fl_rescale(then, now);
}

/* Ask for the memory behind a block while the block is worked on, into the second cache. */
#define FL_ROW_AHEAD 8192
FL_INLINE void fl_row_ahead(const char *from, ptrdiff_t size)
{
    for (ptrdiff_t i = 0; i < size; i += 64) __builtin_prefetch(from + FL_ROW_AHEAD + i, 0, 2);
}

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
/* to[j][i] = from[i][j] for i < rows, j < columns. */                                                                 \
static void fl_turn_plain_##SUFFIX(const REAL *from, ptrdiff_t from_pitch, REAL *to, ptrdiff_t to_pitch, ptrdiff_t rows, ptrdiff_t columns) \
{                                                                                                                      \
    for (ptrdiff_t i = 0; i < rows; i++)                                                                               \
        for (ptrdiff_t j = 0; j < columns; j++) to[j * to_pitch + i] = from[i * from_pitch + j];                       \
}
FL_DEFINE_ROW(f32, float, int32_t, fl_v16, fl_i16, 16)
FL_DEFINE_ROW(f64, double, int64_t, fl_v8, fl_i8, 8)

/* Squares of 8 floats or 4 doubles, the registers of AVX. */
#if defined(__GNUC__) && !defined(__clang__)
typedef float fl_w8 __attribute__((vector_size(32)));
typedef double fl_w4 __attribute__((vector_size(32)));
typedef int32_t fl_s8 __attribute__((vector_size(32)));
typedef int64_t fl_s4 __attribute__((vector_size(32)));
#define FL_MIX8(a, b, ...) __builtin_shuffle(a, b, (fl_s8){__VA_ARGS__})
#define FL_MIX4(a, b, ...) __builtin_shuffle(a, b, (fl_s4){__VA_ARGS__})
FL_INLINE fl_w8 fl_get8(const float *x) { fl_w8 v; memcpy(&v, x, 32); return v; }
FL_INLINE void fl_put8(float *x, fl_w8 v) { memcpy(x, &v, 32); }
FL_INLINE fl_w4 fl_get4(const double *x) { fl_w4 v; memcpy(&v, x, 32); return v; }
FL_INLINE void fl_put4(double *x, fl_w4 v) { memcpy(x, &v, 32); }

/* Eight rows of at most 4 columns, and back: each register holds one row of the first four and one of the last. */
typedef float fl_w4f __attribute__((vector_size(16)));
FL_INLINE fl_w8 fl_two_rows(const float *a, const float *b)
{
    fl_w4f x, y;
    memcpy(&x, a, 16);
    memcpy(&y, b, 16);
    return (fl_w8){x[0], x[1], x[2], x[3], y[0], y[1], y[2], y[3]};
}
FL_INLINE void fl_turn_fours(fl_w8 r[4])
{
    fl_w8 s[4];
    for (int k = 0; k < 4; k += 2) {
        s[k] = FL_MIX8(r[k], r[k + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        s[k + 1] = FL_MIX8(r[k], r[k + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
    for (int k = 0; k < 2; k++) {
        r[2 * k] = FL_MIX8(s[k], s[k + 2], 0, 1, 8, 9, 4, 5, 12, 13);
        r[2 * k + 1] = FL_MIX8(s[k], s[k + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
}
FL_INLINE void fl_narrow_f32(const float *from, ptrdiff_t p, float *to, ptrdiff_t q, ptrdiff_t columns)
{
    fl_w8 r[4];
    for (int k = 0; k < 4; k++) r[k] = fl_two_rows(from + k * p, from + (k + 4) * p);
    fl_turn_fours(r);
    for (int k = 0; k < columns; k++) fl_put8(to + k * q, r[k]);
}
FL_INLINE void fl_narrow_back_f32(const float *from, float *to, ptrdiff_t q, ptrdiff_t rows)
{
    fl_w8 r[4];
    for (int k = 0; k < 4; k++) r[k] = fl_get8(from + k * FL_ACROSS);
    fl_turn_fours(r);
    for (int k = 0; k < 8; k++)
        if (k < rows) memcpy(to + k * q, (const float *)&r[k % 4] + k / 4 * 4, 16);
}
#define fl_narrow_f64 fl_square_f64
#define fl_narrow_back_f64(from, to, q, rows) fl_square_f64(from, FL_ACROSS, to, q, rows)

/* Eight rows, of which the first `columns` columns are stored, in order: where rows are shorter than 8, each overwrites what the one
 * before it spilled. */
FL_INLINE void fl_square_f32(const float *from, ptrdiff_t p, float *to, ptrdiff_t q, ptrdiff_t columns)
{
    fl_w8 r[8], s[8];
    for (int k = 0; k < 8; k++) r[k] = fl_get8(from + k * p);
    for (int k = 0; k < 8; k += 2) {
        s[k] = FL_MIX8(r[k], r[k + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        s[k + 1] = FL_MIX8(r[k], r[k + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
    for (int k = 0; k < 8; k += 4)
        for (int l = 0; l < 2; l++) {
            r[k + 2 * l] = FL_MIX8(s[k + l], s[k + 2 + l], 0, 1, 8, 9, 4, 5, 12, 13);
            r[k + 2 * l + 1] = FL_MIX8(s[k + l], s[k + 2 + l], 2, 3, 10, 11, 6, 7, 14, 15);
        }
    for (int k = 0; k < 4; k++)
        if (k < columns) fl_put8(to + k * q, FL_MIX8(r[k], r[k + 4], 0, 1, 2, 3, 8, 9, 10, 11));
    for (int k = 0; k < 4; k++)
        if (k + 4 < columns) fl_put8(to + (k + 4) * q, FL_MIX8(r[k], r[k + 4], 4, 5, 6, 7, 12, 13, 14, 15));
}
FL_INLINE void fl_square_f64(const double *from, ptrdiff_t p, double *to, ptrdiff_t q, ptrdiff_t columns)
{
    fl_w4 r[4], s[4];
    for (int k = 0; k < 4; k++) r[k] = fl_get4(from + k * p);
    for (int k = 0; k < 4; k += 2) {
        s[k] = FL_MIX4(r[k], r[k + 1], 0, 4, 2, 6);
        s[k + 1] = FL_MIX4(r[k], r[k + 1], 1, 5, 3, 7);
    }
    for (int k = 0; k < 2; k++)
        if (k < columns) fl_put4(to + k * q, FL_MIX4(s[k], s[k + 2], 0, 1, 4, 5));
    for (int k = 0; k < 2; k++)
        if (k + 2 < columns) fl_put4(to + (k + 2) * q, FL_MIX4(s[k], s[k + 2], 2, 3, 6, 7));
}
/* Turn `rows` rows of `columns` columns. The last square of a row overlaps the one before; so does none where a row is shorter than a
 * square: then FL_SPARE elements behind the last row of `from` are read. */
#define FL_DEFINE_TURN(SUFFIX, REAL, S)                                                                                \
static void fl_turn_##SUFFIX(const REAL *from, ptrdiff_t p, REAL *to, ptrdiff_t q, ptrdiff_t rows, ptrdiff_t columns)  \
{                                                                                                                      \
    ptrdiff_t i = 0, j;                                                                                                \
    if (columns <= 4)                                                                                                  \
        for (; i + S <= rows; i += S) fl_narrow_##SUFFIX(from + i * p, p, to + i, q, columns);                         \
    for (; i + S <= rows; i += S) {                                                                                    \
        for (j = 0; j + S <= columns; j += S) fl_square_##SUFFIX(from + i * p + j, p, to + j * q + i, q, S);           \
        if (j < columns) {                                                                                             \
            j = columns < S ? 0 : columns - S;                                                                         \
            fl_square_##SUFFIX(from + i * p + j, p, to + j * q + i, q, columns - j);                                   \
        }                                                                                                              \
    }                                                                                                                  \
    fl_turn_plain_##SUFFIX(from + i * p, p, to + i, q, rows - i, columns);                                             \
}                                                                                                                      \
/* The way back: FL_ACROSS samples across the lanes of `from` become rows of `columns` numbers, the first `rows` of them. Where a row is \
 * shorter than a square, FL_SPARE elements behind the last one are written, and S rows of `from` are read. */         \
static void fl_turn_back_##SUFFIX(const REAL *from, REAL *to, ptrdiff_t q, ptrdiff_t rows, ptrdiff_t columns)          \
{                                                                                                                      \
    for (ptrdiff_t i = 0; i < rows && columns <= 4; i += S) fl_narrow_back_##SUFFIX(from + i, to + i * q, q, rows - i); \
    for (ptrdiff_t i = 0; i < rows && columns > 4; i += S)                                                             \
        for (ptrdiff_t j = 0; j < columns; j += S) {                                                                   \
            ptrdiff_t at = j + S <= columns ? j : columns < S ? 0 : columns - S;                                       \
            fl_square_##SUFFIX(from + at * FL_ACROSS + i, FL_ACROSS, to + i * q + at, q, rows - i);                      \
        }                                                                                                              \
}
FL_DEFINE_TURN(f32, float, 8)
FL_DEFINE_TURN(f64, double, 4)
#else
#define FL_DEFINE_TURN(SUFFIX, REAL)                                                                                   \
static void fl_turn_##SUFFIX(const REAL *from, ptrdiff_t p, REAL *to, ptrdiff_t q, ptrdiff_t rows, ptrdiff_t columns)  \
{                                                                                                                      \
    fl_turn_plain_##SUFFIX(from, p, to, q, rows, columns);                                                             \
}                                                                                                                      \
static void fl_turn_back_##SUFFIX(const REAL *from, REAL *to, ptrdiff_t q, ptrdiff_t rows, ptrdiff_t columns)          \
{                                                                                                                      \
    fl_turn_plain_##SUFFIX(from, FL_ACROSS, to, q, columns, rows);                                                      \
}
FL_DEFINE_TURN(f32, float)
FL_DEFINE_TURN(f64, double)
#endif

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
