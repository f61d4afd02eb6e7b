/* A sum of doubles without any rounding: a fixed-point integer wide enough for every finite double (the "small superaccumulator" of
 * R. Neal, "Fast exact summation using small and large superaccumulators", 2015). Adding one double is scalar work of about 2 ns. */
#ifndef FASTLOSS_SUPERACCUMULATOR_H
#define FASTLOSS_SUPERACCUMULATOR_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FL_LIMBS 68         /* 32 bits each: 2^-1088 up to 2^1024, and 64 bits of carries beyond */
#define FL_BIAS 1088        /* bit 0 of limb 0 weighs 2^-1088 */

typedef struct {
    int64_t limb[FL_LIMBS]; /* signed; each holds its 32 bits and the carries not yet passed on */
    int64_t deposits;       /* since carries were last passed on */
} fl_exact;

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

/* Add one finite double, and leave the counting to the caller: carries must be passed on at least every 2^30 times. */
static inline void fl_exact_deposit(fl_exact *acc, double value) {
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
}

/* Add one finite double. */
static inline void fl_exact_add(fl_exact *acc, double value) {
    fl_exact_deposit(acc, value);
    if (++acc->deposits >= (1 << 30)) fl_exact_carry(acc);
}

static inline void fl_exact_merge(fl_exact *acc, fl_exact *other) {
    fl_exact_carry(acc);
    fl_exact_carry(other);
    for (int i = 0; i < FL_LIMBS; i++) acc->limb[i] += other->limb[i];
    acc->deposits = 1;
}

static inline double fl_two_to(int exponent) {
    uint64_t bits = (uint64_t)(exponent + 1023) << 52;
    double power;
    memcpy(&power, &bits, 8);
    return power;
}

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
