/* The floating-point environment in which kernels run: rounding to nearest, gradual underflow, no traps. Another library of the
 * process may have set another one in this thread (torch.set_flush_denormal, code linked with -ffast-math, fesetround), and a thread
 * is born with that of its maker; no result may depend on it.
 *
 *     fl_fp_state was = fl_fp_enter();  ...  fl_fp_leave(was);
 *
 * costs a read of the control register, and two writes only if it was changed. */
#ifndef FASTLOSS_FPENV_H
#define FASTLOSS_FPENV_H

#include "inline.h"

#if defined(__x86_64__) || defined(__SSE2__)

typedef unsigned fl_fp_state;
#define FL_FP_DEFAULT 0x1f80u /* of MXCSR: all exceptions masked; the rounding mode, FTZ (bit 15) and DAZ (bit 6) are 0 */
#define FL_FP_FLAGS 0x3fu     /* what has happened, not how to compute: left alone */

/* "memory" keeps loads, stores and calls, and with them the arithmetic on what was loaded, on their side. */
FL_INLINE void fl_fp_set(fl_fp_state to) { __asm__ volatile("ldmxcsr %0" : : "m"(to) : "memory"); }

FL_INLINE fl_fp_state fl_fp_enter(void) {
    fl_fp_state was;
    __asm__ volatile("stmxcsr %0" : "=m"(was) : : "memory");
    if (__builtin_expect((was & ~FL_FP_FLAGS) != FL_FP_DEFAULT, 0)) fl_fp_set(FL_FP_DEFAULT | (was & FL_FP_FLAGS));
    return was;
}

FL_INLINE void fl_fp_leave(fl_fp_state was) {
    if (__builtin_expect((was & ~FL_FP_FLAGS) != FL_FP_DEFAULT, 0)) fl_fp_set(was);
}

#elif defined(__aarch64__)

typedef unsigned long fl_fp_state; /* FPCR: flush-to-zero, rounding mode, default NaN and traps; 0 is plain IEEE */

FL_INLINE void fl_fp_set(fl_fp_state to) { __asm__ volatile("msr fpcr, %0" : : "r"(to) : "memory"); }

FL_INLINE fl_fp_state fl_fp_enter(void) {
    fl_fp_state was;
    __asm__ volatile("mrs %0, fpcr" : "=r"(was) : : "memory");
    if (__builtin_expect(was != 0, 0)) fl_fp_set(0);
    return was;
}

FL_INLINE void fl_fp_leave(fl_fp_state was) {
    if (__builtin_expect(was != 0, 0)) fl_fp_set(was);
}

#else /* the C library knows how, at a price */

#include <fenv.h>
typedef fenv_t fl_fp_state;

FL_INLINE fl_fp_state fl_fp_enter(void) {
    fl_fp_state was;
    fegetenv(&was);
    fesetenv(FE_DFL_ENV);
    return was;
}

FL_INLINE void fl_fp_leave(fl_fp_state was) { fesetenv(&was); }

#endif
#endif
