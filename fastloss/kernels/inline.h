/* Inlining is not a hint here: a loop that calls anything is not vectorised, and in a file of hundreds of kernels the compilers'
 * own limits stop far too early. */
#ifndef FASTLOSS_INLINE_H
#define FASTLOSS_INLINE_H
#define FL_INLINE static inline __attribute__((always_inline))
#endif
