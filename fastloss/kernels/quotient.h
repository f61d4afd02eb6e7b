/* The quotient of two exact sums, rounded correctly: a weighted mean is sum(w * loss) / sum(w).
 *
 * The leading 127 bits of one are divided by the leading 64 of the other, which gives at least 62 bits of the quotient, wrong by less
 * than 3 units. Unless they lie that near to the middle between two doubles, they round as the quotient itself does. Where they do
 * (1 in 100), or where the result is near the ends of the range of doubles, Python's integers have to decide.
 */
#ifndef FASTLOSS_QUOTIENT_H
#define FASTLOSS_QUOTIENT_H
#include "exactsum.h"

/* lead * 2^(*exponent) <= value < (lead + 1) * 2^(*exponent) with bit 127 of lead set, of a positive value whose carries were passed
 * on. 0 if the value is zero (then *exponent is 0 as well) or too large. */
static inline unsigned __int128 fl_exact_leading(const int64_t *limb, int *exponent) {
    int top = FL_LIMBS - 1;
    while (top >= 0 && limb[top] == 0) top--;
    *exponent = top >= 0;
    if (top < 0 || top == FL_LIMBS - 1) return 0;
    unsigned __int128 lead = 0;
    for (int i = top; i > top - 4; i--) lead = lead << 32 | (i < 0 ? 0 : (uint64_t)limb[i]);
    int shift = __builtin_clzll((uint64_t)limb[top]) - 32; /* places that the top limb leaves empty; the next limb fills them */
    if (shift) lead = lead << shift | (top < 4 ? 0 : (uint64_t)limb[top - 4] >> (32 - shift));
    *exponent = 32 * (top - 3) - shift;
    return lead;
}

/* total / weight for a weight >= 0. Returns 1, or 0 if the general way has to do it. Passes carries on, and changes nothing else. */
static inline int fl_exact_quotient(fl_exact *total, fl_exact *weight, double *result) {
    int64_t turned[FL_LIMBS];
    const int64_t *limb = total->limb;
    int exponent_total, exponent_weight;
    fl_exact_carry(total);
    fl_exact_carry(weight);
    int negative = limb[FL_LIMBS - 1] < 0;
    if (negative) {
        int64_t carry = 0;
        for (int i = 0; i < FL_LIMBS - 1; i++) {
            int64_t turn = carry - limb[i];
            turned[i] = turn & 0xffffffff;
            carry = turn >> 32;
        }
        turned[FL_LIMBS - 1] = carry - limb[FL_LIMBS - 1];
        limb = turned;
    }
    unsigned __int128 numerator = fl_exact_leading(limb, &exponent_total) >> 1, weights = fl_exact_leading(weight->limb, &exponent_weight);
    *result = 0.0;
    if (!numerator || !weights) return weights && exponent_total == 0;
    uint64_t quotient = (uint64_t)(numerator / (uint64_t)(weights >> 64)); /* < 2^127 / 2^63 */
    int exponent = exponent_total + 1 - (exponent_weight + 64), drop = 64 - __builtin_clzll(quotient) - 53;
    int64_t beyond = (int64_t)(quotient & ((1ull << drop) - 1)) - ((int64_t)1 << (drop - 1));
    if ((beyond >= -3 && beyond <= 3) || exponent < -1000 || exponent > 900) return 0;
    double mantissa = (double)((quotient >> drop) + (beyond > 0));
    *result = (negative ? -mantissa : mantissa) * fl_two_to(exponent + drop);
    return 1;
}
#endif
