/* Sums by group as fixed-point integers. Against one step, 1.5 * 2^52 times a unit, a number is cut into a multiple of the unit and what is
 * left, exactly (Demmel and Nguyen 2013; Rump's ExtractVector); the multiple stands in the mantissa of number + step. 64-bit integers add
 * as many of them as there are rows before they pass on to the exact sums, without a rounding: two instructions a row, where depositing
 * each number there takes thirty. Of float32 numbers little is ever left; of float64 ones a second such cut takes nearly all. */
#ifndef FASTLOSS_GROUPS_H
#define FASTLOSS_GROUPS_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "superaccumulator.h"

#define FL_SLICE 45         /* bits of a multiple */
#define FL_HELD (1 << 17)   /* rows until sums are passed on: 45 bits and 17 */
#define FL_PIECE 512        /* rows at a time */

typedef struct {
    int64_t *high, *low;    /* a number for each group; low of what is left */
    int unit, used, left;   /* of high, as a power of two; of low it is unit - FL_SLICE; have they been used? */
    double step, least;     /* steps of both */
} fl_fixed;

static inline int64_t fl_bits_of(double x) { int64_t bits; memcpy(&bits, &x, 8); return bits; }

/* The exponent above the largest of the numbers; 1024 if one is NaN or infinite, and for what this way is not made for. */
static inline int fl_top(const double *x, ptrdiff_t n) {
    int64_t largest = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        int64_t size = fl_bits_of(x[i]) & 0x7fffffffffffffff;
        largest = size > largest ? size : largest;
    }
    int top = (int)(largest >> 52) - 1022;
    return top > 900 ? 1024 : top < -800 ? -800 : top;
}

static inline void fl_fixed_set(fl_fixed *to, int top) {
    to->unit = top - FL_SLICE;
    to->step = 1.5 * fl_two_to(to->unit + 52);
    to->least = 1.5 * fl_two_to(to->unit - FL_SLICE + 52);
}

/* multiple = the numbers in units, left = what that leaves. Is something left? */
static inline int fl_cut(const double *x, ptrdiff_t n, double step, int64_t *multiple, double *left) {
    int64_t zero = fl_bits_of(step), any = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        double sum = x[i] + step, rest = x[i] - (sum - step);
        multiple[i] = fl_bits_of(sum) - zero;
        left[i] = rest;
        any |= fl_bits_of(rest) << 1;  /* of -0, nothing */
    }
    return any != 0;
}

static inline void fl_pass_on(int64_t sum, int unit, fl_exact *to) {
    fl_exact_add(to, (double)(sum >> 32) * fl_two_to(unit + 32));
    fl_exact_add(to, (double)(sum & 0xffffffff) * fl_two_to(unit));
}
#endif
