/* fastloss for C and C++: configured losses as structs of function pointers, called without the GIL and without Python objects.
 *
 *     fastloss_loss huber;
 *     if (fastloss_get("huber:delta=1.5", &huber) < 0) return NULL;       // with the GIL; a Python exception is set
 *     ...
 *     fastloss_outputs_f64(&huber, y, p, loss, gradient, NULL, n);        // per sample; without the GIL
 *     status = fastloss_cost_f64(&huber, y, p, w, NULL, n, &cost, &at);   // sum(w * loss) / sum(w), correctly rounded
 *
 * Arrays are contiguous and of the named type; weights are always double. Nothing is allocated, nothing is linked: compile with
 * -I of what `fastloss.get_include()` returns. Calls are serial, and may be made from any number of threads at once; they use some 32 KB of
 * stack. Whatever floating-point environment the caller has set, they compute in the default one.
 *
 * A fastloss_loss is plain memory: copy it, keep it as long as the process lives. Its fields are private. A program compiled with this
 * header runs with every later fastloss of the same FASTLOSS_C_VERSION; fastloss_get refuses another.
 */
#ifndef FASTLOSS_H
#define FASTLOSS_H

#include <Python.h>
#include <stddef.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FASTLOSS_C_VERSION 1
#define FASTLOSS_CAPSULE "fastloss.loss.1"

/* What fastloss_cost_* return. After the last three, *at is the index of the first bad value. */
enum {
    FASTLOSS_OK = 0,
    FASTLOSS_NOTHING = 1,     /* nothing to divide by: no samples, or all weights 0. *cost is NaN */
    FASTLOSS_TARGET = 2,      /* y[*at] is outside the domain of the loss */
    FASTLOSS_PREDICTION = 3,  /* p[*at] is */
    FASTLOSS_WEIGHT = 4       /* w[*at] is negative, infinite or NaN */
};

typedef struct fastloss_loss fastloss_loss;

typedef struct {
    void (*outputs_f32)(const fastloss_loss *, const float *, const float *, float *, float *, float *, ptrdiff_t);
    void (*outputs_f64)(const fastloss_loss *, const double *, const double *, double *, double *, double *, ptrdiff_t);
    int (*cost_f32)(const fastloss_loss *, const float *, const float *, const double *, float *, ptrdiff_t, double *, ptrdiff_t *);
    int (*cost_f64)(const fastloss_loss *, const double *, const double *, const double *, double *, ptrdiff_t, double *, ptrdiff_t *);
} fastloss_functions;

typedef struct {
    void *kernels[5];
    double parameters[8], target[2], prediction[2];
    int target_kind, prediction_kind;
} fastloss_bound;

struct fastloss_loss {
    const fastloss_functions *functions;
    fastloss_bound f32, f64;
};

/* Fill *loss with the loss of a spec, "huber:delta=1.5", as fastloss.get reads it, or of a configured loss. With the GIL. 0, or -1 with a
 * Python exception set: ValueError for an unknown name, a bad parameter or one that does not survive rounding to float32; TypeError for a loss
 * that is not of single predictions; RuntimeError where fastloss has no compiled kernels. */
static inline int fastloss_get_object(PyObject *spec, fastloss_loss *loss) {
    int result = -1;
    PyObject *module = PyImport_ImportModule("fastloss");
    PyObject *configured = module ? PyObject_CallMethod(module, "get", "O", spec) : NULL;
    PyObject *capsule = configured ? PyObject_CallMethod(configured, "c_loss", NULL) : NULL;
    void *found = capsule ? PyCapsule_GetPointer(capsule, FASTLOSS_CAPSULE) : NULL;
    if (found) {
        memcpy(loss, found, sizeof(*loss));
        result = 0;
    }
    Py_XDECREF(capsule);
    Py_XDECREF(configured);
    Py_XDECREF(module);
    return result;
}

static inline int fastloss_get(const char *spec, fastloss_loss *loss) {
    PyObject *text = PyUnicode_FromString(spec);
    int result = text ? fastloss_get_object(text, loss) : -1;
    Py_XDECREF(text);
    return result;
}

/* Per sample: the loss, its derivative and its second derivative with respect to p, each into n values or nowhere (NULL). An output may be
 * the memory of p or y itself; outputs must not overlap otherwise. Nothing is checked: outside its domain a loss is what its formula gives. */
static inline void fastloss_outputs_f32(const fastloss_loss *loss, const float *y, const float *p, float *values, float *gradient,
                                        float *hessian, ptrdiff_t n) {
    loss->functions->outputs_f32(loss, y, p, values, gradient, hessian, n);
}
static inline void fastloss_outputs_f64(const fastloss_loss *loss, const double *y, const double *p, double *values, double *gradient,
                                        double *hessian, ptrdiff_t n) {
    loss->functions->outputs_f64(loss, y, p, values, gradient, hessian, n);
}

/* The cost, sum(w * loss) / sum(w), the same bits as from Python; w may be NULL (1 each). If gradient is not NULL, the cost's gradient is
 * written there, w * gradient / sum(w) per sample; of what follows a bad value nothing is written. It is multiplied by 1 / sum(w), which has
 * to be from 1e-290 to 1e290 (Python raises ValueError beyond, here the gradient is then of no use). NaN propagate. Returns a status. */
static inline int fastloss_cost_f32(const fastloss_loss *loss, const float *y, const float *p, const double *w, float *gradient,
                                    ptrdiff_t n, double *cost, ptrdiff_t *at) {
    return loss->functions->cost_f32(loss, y, p, w, gradient, n, cost, at);
}
static inline int fastloss_cost_f64(const fastloss_loss *loss, const double *y, const double *p, const double *w, double *gradient,
                                    ptrdiff_t n, double *cost, ptrdiff_t *at) {
    return loss->functions->cost_f64(loss, y, p, w, gradient, n, cost, at);
}

/* One sample. For many, the calls above are some twenty times faster. */
static inline double fastloss_value(const fastloss_loss *loss, double y, double p) {
    double result;
    fastloss_outputs_f64(loss, &y, &p, &result, NULL, NULL, 1);
    return result;
}
static inline double fastloss_gradient(const fastloss_loss *loss, double y, double p) {
    double result;
    fastloss_outputs_f64(loss, &y, &p, NULL, &result, NULL, 1);
    return result;
}
static inline double fastloss_hessian(const fastloss_loss *loss, double y, double p) {
    double result;
    fastloss_outputs_f64(loss, &y, &p, NULL, NULL, &result, 1);
    return result;
}

#ifdef __cplusplus
}
#endif
#endif
