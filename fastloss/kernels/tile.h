/* Where dtype and layout end: a stretch of the user's array becomes a contiguous float32 or float64 tile, and back.
 *
 * Strided or byte-swapped data is gathered into a contiguous tile of its own type first; the conversion then is one plain loop per
 * type that the compiler vectorises. memcpy reads data of any alignment. No table, no branch per element.
 */
#ifndef FASTLOSS_TILE_H
#define FASTLOSS_TILE_H
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(__AVX512F__) || defined(__F16C__)
#include <immintrin.h>
#endif

#define FL_TILE 256 /* small enough for the processor to read the next tile's memory while it still sums this one */

typedef uint16_t fl_half;
typedef uint16_t fl_brain; /* bfloat16: the upper half of a float32 */

/* In the order of dtypes.py's table, which is handed these numbers by the module (see fl_codes). */
enum { FL_BOOL, FL_I8, FL_U8, FL_I16, FL_U16, FL_I32, FL_U32, FL_I64, FL_U64, FL_F16, FL_BF16, FL_F32, FL_F64 };

/* Room for a tile of everything, each beginning on a cache line: stores across two lines would take twice the time. */
typedef struct {
    double y[FL_TILE], p[FL_TILE], sign[FL_TILE], w[FL_TILE], terms[FL_TILE], outputs[3][FL_TILE];
} __attribute__((aligned(64))) fl_room;

typedef struct {
    char *data;
    ptrdiff_t stride; /* in bytes */
    int code, size;   /* element type as above, and its bytes */
    int swapped;      /* bytes in the other order than the machine's */
} fl_array;

/* Have memory on its way. Between two loops over memory, while a tile is summed, the processor reads nothing ahead: so the lines of a
 * tile to come are asked for, into the second cache (into the first they would be in the way of the tile at hand). And a kernel's loop
 * has only a few lines of its two arrays under way at a time: those of one are touched first, one load for all that a line holds. */
#define FL_AHEAD 8192 /* bytes; 4,096 to 32,768 are alike */
static inline void fl_ask(const fl_array *a, ptrdiff_t start, ptrdiff_t n) {
    if (a->stride != a->size) return;
    const char *from = a->data + start * a->size + FL_AHEAD;
    for (ptrdiff_t i = 0; i < n * a->size; i += 64) __builtin_prefetch(from + i, 0, 2);
}
static inline void fl_touch(const fl_array *a, ptrdiff_t start, ptrdiff_t n) {
    if (a->stride != a->size) return;
    const char *from = a->data + start * a->size;
    for (ptrdiff_t i = 0; i < n * a->size; i += 64) (void)*(const volatile char *)(from + i);
}

/* Zeroed memory that begins on a cache line; free() releases it. */
static inline void *fl_zeros(size_t size) {
    void *memory = aligned_alloc(64, (size + 63) / 64 * 64);
    return memory ? memset(memory, 0, size) : memory;
}

static inline float fl_bits_float(uint32_t bits) { float f; memcpy(&f, &bits, 4); return f; }
static inline uint32_t fl_float_bits(float f) { uint32_t bits; memcpy(&bits, &f, 4); return bits; }

/* binary16 -> float32, exactly: the exponent and fraction bits moved into place are the value times 2^-112. */
static inline float fl_half_to_float(fl_half h) {
    uint32_t magnitude = (uint32_t)(h & 0x7fff) << 13, sign = (uint32_t)(h & 0x8000) << 16;
    uint32_t finite = fl_float_bits(fl_bits_float(magnitude) * 0x1p112f);
    return fl_bits_float((magnitude >= 0x0f800000u ? magnitude | 0x7f800000u : finite) | sign);
}
/* float32 -> binary16, to nearest even. Normal results round in the integers; for subnormal ones adding 1/2 (whose ulp is that
 * of binary16's subnormals) makes the float adder round. */
static inline fl_half fl_float_to_half(float f) {
    uint32_t bits = fl_float_bits(f), sign = (bits >> 16) & 0x8000, magnitude = bits & 0x7fffffff;
    uint32_t normal = (magnitude + 0xc8000fffu + ((magnitude >> 13) & 1)) >> 13;
    uint32_t tiny = fl_float_bits(fl_bits_float(magnitude) + 0.5f) - 0x3f000000u;
    uint32_t finite = magnitude < 0x38800000u ? tiny : normal;
    uint32_t big = magnitude > 0x7f800000u ? 0x7e00u : 0x7c00u;
    return (fl_half)((magnitude >= 0x477ff000u ? big : finite) | sign);
}
static inline float fl_brain_to_float(fl_brain b) { return fl_bits_float((uint32_t)b << 16); }
static inline fl_brain fl_float_to_brain(float f) {
    uint32_t bits = fl_float_bits(f), rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    return (fl_brain)((bits & 0x7fffffff) > 0x7f800000u ? bits >> 16 | 0x40 : rounded);
}
/* float64 -> float32 rounded to odd, so that rounding once more to 16 bits gives the nearest value. */
static inline float fl_double_to_odd(double d) {
    float f = (float)d;
    uint32_t bits = fl_float_bits(f);
    bits -= fabs((double)f) > fabs(d);
    return d == d ? fl_bits_float(bits | ((double)fl_bits_float(bits) != d)) : f;
}

/* One line per element type: suffix, C type, its value as a number, and the ways back from float and double. */
#define FL_READ(x) (x)
#define FL_READ_BOOL(x) ((x) != 0)

#define FL_DEFINE_WIDEN(NAME, T, READ, REAL)                                                            \
static void NAME(const char *from, REAL *to, ptrdiff_t n) {                                            \
    for (ptrdiff_t i = 0; i < n; i++) { T x; memcpy(&x, from + i * sizeof(T), sizeof(T)); to[i] = (REAL)READ(x); } \
}
#define FL_DEFINE_NARROW(NAME, T, WRITE, REAL)                                                          \
static void NAME(const REAL *from, char *to, ptrdiff_t n) {                                            \
    for (ptrdiff_t i = 0; i < n; i++) { T x = (T)WRITE(from[i]); memcpy(to + i * sizeof(T), &x, sizeof(T)); } \
}
/* 16-bit floats by the widest instructions there are, as many as fill these; compilers do not find them in the loop above. */
#if defined(__AVX512F__)
#define FL_WIDE(NAME, CONVERTED)                                                                        \
static inline ptrdiff_t NAME(const char *from, float *to, ptrdiff_t n) {                               \
    ptrdiff_t i = 0;                                                                                   \
    for (; i + 16 <= n; i += 16) { __m256i x = _mm256_loadu_si256((const __m256i *)(from + 2 * i)); _mm512_storeu_ps(to + i, CONVERTED); } \
    return i;                                                                                          \
}
FL_WIDE(fl_f16_wide, _mm512_cvtph_ps(x))
FL_WIDE(fl_bf16_wide, _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16)))
#elif defined(__AVX2__) && defined(__F16C__)
#define FL_WIDE(NAME, CONVERTED)                                                                        \
static inline ptrdiff_t NAME(const char *from, float *to, ptrdiff_t n) {                               \
    ptrdiff_t i = 0;                                                                                   \
    for (; i + 8 <= n; i += 8) { __m128i x = _mm_loadu_si128((const __m128i *)(from + 2 * i)); _mm256_storeu_ps(to + i, CONVERTED); } \
    return i;                                                                                          \
}
FL_WIDE(fl_f16_wide, _mm256_cvtph_ps(x))
FL_WIDE(fl_bf16_wide, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16)))
#else
#define fl_f16_wide(from, to, n) 0
#define fl_bf16_wide(from, to, n) 0
#endif
#define FL_DEFINE_TYPE(SUFFIX, T, READ)                                                                 \
    FL_DEFINE_WIDEN(fl_##SUFFIX##_to_f32, T, READ, float)                                              \
    FL_DEFINE_WIDEN(fl_##SUFFIX##_to_f64, T, READ, double)
FL_DEFINE_TYPE(bool, uint8_t, FL_READ_BOOL)
FL_DEFINE_TYPE(i8, int8_t, FL_READ)
FL_DEFINE_TYPE(u8, uint8_t, FL_READ)
FL_DEFINE_TYPE(i16, int16_t, FL_READ)
FL_DEFINE_TYPE(u16, uint16_t, FL_READ)
FL_DEFINE_TYPE(i32, int32_t, FL_READ)
FL_DEFINE_TYPE(u32, uint32_t, FL_READ)
FL_DEFINE_TYPE(i64, int64_t, FL_READ)
FL_DEFINE_TYPE(u64, uint64_t, FL_READ)
FL_DEFINE_TYPE(f16, fl_half, fl_half_to_float)
FL_DEFINE_TYPE(bf16, fl_brain, fl_brain_to_float)
FL_DEFINE_TYPE(f32, float, FL_READ)
FL_DEFINE_TYPE(f64, double, FL_READ)
#define FL_HALF_F32(x) fl_float_to_half(x)
#define FL_HALF_F64(x) fl_float_to_half(fl_double_to_odd(x))
#define FL_BRAIN_F32(x) fl_float_to_brain(x)
#define FL_BRAIN_F64(x) fl_float_to_brain(fl_double_to_odd(x))
FL_DEFINE_NARROW(fl_f32_as_f16, fl_half, FL_HALF_F32, float)
FL_DEFINE_NARROW(fl_f64_as_f16, fl_half, FL_HALF_F64, double)
FL_DEFINE_NARROW(fl_f32_as_bf16, fl_brain, FL_BRAIN_F32, float)
FL_DEFINE_NARROW(fl_f64_as_bf16, fl_brain, FL_BRAIN_F64, double)
FL_DEFINE_NARROW(fl_f32_as_f32, float, FL_READ, float)
FL_DEFINE_NARROW(fl_f64_as_f32, float, FL_READ, double)
FL_DEFINE_NARROW(fl_f32_as_f64, double, FL_READ, float)
FL_DEFINE_NARROW(fl_f64_as_f64, double, FL_READ, double)

static inline uint16_t fl_swap2(uint16_t x) { return __builtin_bswap16(x); }
static inline uint32_t fl_swap4(uint32_t x) { return __builtin_bswap32(x); }
static inline uint64_t fl_swap8(uint64_t x) { return __builtin_bswap64(x); }

#define FL_COPY_STRIDED(T, SWAP)                                                                        \
    for (ptrdiff_t i = 0; i < n; i++) {                                                                \
        T x;                                                                                           \
        memcpy(&x, from + i * from_stride, sizeof(T));                                                 \
        x = SWAP(x);                                                                                   \
        memcpy(to + i * to_stride, &x, sizeof(T));                                                     \
    }
/* One of two columns of a row-major table: with strides that are known, compilers shuffle vectors, in 0.3 of the time. */
static void fl_every_other4(const char *restrict from, char *restrict to, ptrdiff_t n) {
    const ptrdiff_t from_stride = 8, to_stride = 4;
    FL_COPY_STRIDED(uint32_t, FL_READ)
}
static void fl_every_other8(const char *restrict from, char *restrict to, ptrdiff_t n) {
    const ptrdiff_t from_stride = 16, to_stride = 8;
    FL_COPY_STRIDED(uint64_t, FL_READ)
}
static void fl_copy(const char *from, ptrdiff_t from_stride, char *to, ptrdiff_t to_stride, int size, int swapped, ptrdiff_t n) {
    if (from_stride == 2 * size && to_stride == size && size >= 4 && !swapped) {
        if (size == 4) fl_every_other4(from, to, n);
        else fl_every_other8(from, to, n);
    } else if (size == 1) { FL_COPY_STRIDED(uint8_t, FL_READ) }
    else if (size == 2) { if (swapped) { FL_COPY_STRIDED(uint16_t, fl_swap2) } else { FL_COPY_STRIDED(uint16_t, FL_READ) } }
    else if (size == 4) { if (swapped) { FL_COPY_STRIDED(uint32_t, fl_swap4) } else { FL_COPY_STRIDED(uint32_t, FL_READ) } }
    else { if (swapped) { FL_COPY_STRIDED(uint64_t, fl_swap8) } else { FL_COPY_STRIDED(uint64_t, FL_READ) } }
}

#define FL_LOAD_SHORT_f32(TYPE) { ptrdiff_t done_ = fl_##TYPE##_wide(from, buffer, n); fl_##TYPE##_to_f32(from + 2 * done_, buffer + done_, n - done_); }
#define FL_LOAD_SHORT_f64(TYPE) fl_##TYPE##_to_f64(from, buffer, n)

/* n <= FL_TILE elements from index start as REAL: where they are if they can be used so, else in buffer. And back. */
#define FL_DEFINE_TRANSFER(SUFFIX, REAL, INT, CODE)                                                         \
static inline const REAL *fl_load_##SUFFIX(const fl_array *a, ptrdiff_t start, ptrdiff_t n, REAL *buffer) { \
    const char *from = a->data + start * a->stride;                                                    \
    char gathered[8 * FL_TILE];                                                                        \
    if (a->code == CODE && a->stride == sizeof(REAL) && !a->swapped && (uintptr_t)from % sizeof(REAL) == 0) return (const REAL *)from; \
    if (a->stride != a->size || a->swapped) {                                                          \
        int same = a->code == CODE; /* no other form of numbers: where they are wanted at once */      \
        fl_copy(from, a->stride, same ? (char *)buffer : gathered, a->size, a->size, a->swapped, n);   \
        if (same) return buffer;                                                                       \
        from = gathered;                                                                               \
    }                                                                                                  \
    switch (a->code) {                                                                                 \
        case FL_BOOL: fl_bool_to_##SUFFIX(from, buffer, n); break;                                     \
        case FL_I8: fl_i8_to_##SUFFIX(from, buffer, n); break;                                         \
        case FL_U8: fl_u8_to_##SUFFIX(from, buffer, n); break;                                         \
        case FL_I16: fl_i16_to_##SUFFIX(from, buffer, n); break;                                       \
        case FL_U16: fl_u16_to_##SUFFIX(from, buffer, n); break;                                       \
        case FL_I32: fl_i32_to_##SUFFIX(from, buffer, n); break;                                       \
        case FL_U32: fl_u32_to_##SUFFIX(from, buffer, n); break;                                       \
        case FL_I64: fl_i64_to_##SUFFIX(from, buffer, n); break;                                       \
        case FL_U64: fl_u64_to_##SUFFIX(from, buffer, n); break;                                       \
        case FL_F16: FL_LOAD_SHORT_##SUFFIX(f16); break;                                       \
        case FL_BF16: FL_LOAD_SHORT_##SUFFIX(bf16); break;                                     \
        case FL_F32: fl_f32_to_##SUFFIX(from, buffer, n); break;                                       \
        default: fl_f64_to_##SUFFIX(from, buffer, n);                                                  \
    }                                                                                                  \
    return buffer;                                                                                     \
}                                                                                                      \
static inline void fl_store_##SUFFIX(const REAL *tile, const fl_array *a, ptrdiff_t start, ptrdiff_t n) { \
    char *to = a->data + start * a->stride, gathered[8 * FL_TILE];                                     \
    int plain = a->stride == a->size && !a->swapped;                                                   \
    char *next = plain ? to : gathered;                                                                \
    switch (a->code) {                                                                                 \
        case FL_F16: fl_##SUFFIX##_as_f16(tile, next, n); break;                                       \
        case FL_BF16: fl_##SUFFIX##_as_bf16(tile, next, n); break;                                     \
        case FL_F32: fl_##SUFFIX##_as_f32(tile, next, n); break;                                       \
        default: fl_##SUFFIX##_as_f64(tile, next, n);                                                  \
    }                                                                                                  \
    if (!plain) fl_copy(gathered, a->size, to, a->stride, a->size, a->swapped, n);                     \
}                                                                                                      \
/* Is any value outside [low, high]? NaN is not: it propagates and is counted. */                      \
static inline int fl_outside_##SUFFIX(const REAL *x, ptrdiff_t n, REAL low, REAL high) {               \
    INT bad = 0; /* as wide as the values, so that the loop vectorises */                              \
    for (ptrdiff_t i = 0; i < n; i++) bad |= (x[i] < low) | (x[i] > high);                             \
    return bad != 0;                                                                                   \
}                                                                                                      \
/* Is any value neither of two labels (nor NaN)? */                                                    \
static inline int fl_unlabelled_##SUFFIX(const REAL *x, ptrdiff_t n, REAL low, REAL high) {            \
    INT bad = 0; /* as wide as the values, so that the loop vectorises */                              \
    for (ptrdiff_t i = 0; i < n; i++) bad |= (x[i] != low) & (x[i] != high) & (x[i] == x[i]);          \
    return bad != 0;                                                                                   \
}
FL_DEFINE_TRANSFER(f32, float, int32_t, FL_F32)
FL_DEFINE_TRANSFER(f64, double, int64_t, FL_F64)
#endif
