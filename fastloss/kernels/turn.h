/* The turning of tiles: rows of scores become samples across the lanes, and come back. */
#ifndef FASTLOSS_TURN_H
#define FASTLOSS_TURN_H
#include "inline.h"
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FL_ACROSS 32 /* samples of a tile across the lanes, or rows whose statistics are finished together */

#define FL_DEFINE_TURN_PLAIN(SUFFIX, REAL)                                                                                \
/* to[j][i] = from[i][j] for i < rows, j < columns. */                                                                 \
static void fl_turn_plain_##SUFFIX(const REAL *from, ptrdiff_t from_pitch, REAL *to, ptrdiff_t to_pitch, ptrdiff_t rows, ptrdiff_t columns) \
{                                                                                                                      \
    for (ptrdiff_t i = 0; i < rows; i++)                                                                               \
        for (ptrdiff_t j = 0; j < columns; j++) to[j * to_pitch + i] = from[i * from_pitch + j];                       \
}
FL_DEFINE_TURN_PLAIN(f32, float)
FL_DEFINE_TURN_PLAIN(f64, double)

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
/* FL_ACROSS rows of few columns, one number of which compilers know: groups of as many loads, which they vectorise. */
#define FL_DEFINE_DEAL(SUFFIX, REAL)                                                                                   \
FL_INLINE void fl_deal_##SUFFIX(const REAL *restrict from, REAL *restrict to, const int columns)                       \
{                                                                                                                      \
    for (int i = 0; i < FL_ACROSS; i++)                                                                                \
        for (int j = 0; j < columns; j++) to[j * FL_ACROSS + i] = from[i * columns + j];                               \
}                                                                                                                      \
FL_INLINE void fl_gather_##SUFFIX(const REAL *restrict from, REAL *restrict to, const int columns)                     \
{                                                                                                                      \
    for (int i = 0; i < FL_ACROSS; i++)                                                                                \
        for (int j = 0; j < columns; j++) to[i * columns + j] = from[j * FL_ACROSS + i];                               \
}
FL_DEFINE_DEAL(f32, float)
FL_DEFINE_DEAL(f64, double)

/* Turn `rows` rows of `columns` columns. The last square of a row overlaps the one before; so does none where a row is shorter than a
 * square: then FL_SPARE elements behind the last row of `from` are read. */
#define FL_DEFINE_TURN(SUFFIX, REAL, S)                                                                                \
static void fl_turn_##SUFFIX(const REAL *from, ptrdiff_t p, REAL *to, ptrdiff_t q, ptrdiff_t rows, ptrdiff_t columns)  \
{                                                                                                                      \
    ptrdiff_t i = 0, j;                                                                                                \
    if (rows == FL_ACROSS && p == columns && q == FL_ACROSS) {                                                         \
        if (columns == 2) { fl_deal_##SUFFIX(from, to, 2); return; }                                                   \
        if (columns == 3) { fl_deal_##SUFFIX(from, to, 3); return; }                                                   \
        if (columns == 4) { fl_deal_##SUFFIX(from, to, 4); return; }                                                   \
    }                                                                                                                  \
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
    if (rows == FL_ACROSS && q == columns) {                                                                           \
        if (columns == 2) { fl_gather_##SUFFIX(from, to, 2); return; }                                                 \
        if (columns == 3) { fl_gather_##SUFFIX(from, to, 3); return; }                                                 \
        if (columns == 4) { fl_gather_##SUFFIX(from, to, 4); return; }                                                 \
    }                                                                                                                  \
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
#endif
