/* What generated formulas use besides the vector math. */
#ifndef FASTLOSS_FORMULA_H
#define FASTLOSS_FORMULA_H
#include "inline.h"
#include <math.h>

/* Kernels are only ever given tiles that do not overlap; saying so spares the loops a check and a second version. */
typedef const float *__restrict fl_in_f32;
typedef const double *__restrict fl_in_f64;
typedef float *__restrict fl_out_f32;
typedef double *__restrict fl_out_f64;

#define fl_inf INFINITY

/* Both sides are computed and one is picked: formulas have no side effects, and a loop without branches becomes vectors. */
FL_INLINE double fl_where(int condition, double yes, double no) { return condition ? yes : no; }
FL_INLINE float fl_wheref(int condition, float yes, float no) { return condition ? yes : no; }
#endif
