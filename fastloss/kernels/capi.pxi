# What C code outside sees of a kernel module: the functions of include/fastloss.h, and a capsule per configured loss. Serial and without
# Python objects, but for the one quotient in a hundred that Python's integers have to round.

from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from libc.stdlib cimport malloc

cdef extern from "../include/fastloss.h":
    const char* FASTLOSS_CAPSULE
    enum:
        FASTLOSS_OK
        FASTLOSS_NOTHING
        FASTLOSS_TARGET
        FASTLOSS_WEIGHT
    ctypedef struct fastloss_bound:
        void* kernels[5]
        double parameters[8]
        double target[2]
        double prediction[2]
        int target_kind
        int prediction_kind
    ctypedef struct fastloss_loss
    ctypedef struct fastloss_functions:
        void (*outputs_f32)(const fastloss_loss*, const float*, const float*, float*, float*, float*, Py_ssize_t) noexcept nogil
        void (*outputs_f64)(const fastloss_loss*, const double*, const double*, double*, double*, double*, Py_ssize_t) noexcept nogil
        int (*cost_f32)(const fastloss_loss*, const float*, const float*, const double*, float*, Py_ssize_t, double*, Py_ssize_t*) noexcept nogil
        int (*cost_f64)(const fastloss_loss*, const double*, const double*, const double*, double*, Py_ssize_t, double*, Py_ssize_t*) noexcept nogil
    ctypedef struct fastloss_loss:
        const fastloss_functions* functions
        fastloss_bound f32
        fastloss_bound f64


cdef inline const fastloss_bound* bound_of(real tag, const fastloss_loss* loss) noexcept nogil:
    if real is float:
        return &loss.f32
    else:
        return &loss.f64


cdef inline void outputs_of(const fastloss_loss* self, const real* y, const real* p, real* loss, real* gradient, real* hessian, Py_ssize_t n) noexcept nogil:
    """By the tile, since kernels write the gradient wherever they write the Hessian, and to nobody's memory where nobody asked."""
    cdef real nobodys[FL_TILE]
    cdef real none = 0
    cdef real* l
    cdef real* g
    cdef int parts = (loss != NULL) + 2 * (gradient != NULL or hessian != NULL) + 4 * (hessian != NULL)
    cdef void* kernel = bound_of[real](none, self).kernels[OUTPUT_SET[parts]] if parts else NULL
    cdef Py_ssize_t at = 0, length = FL_TILE if hessian != NULL and gradient == NULL else n
    cdef fl_fp_state environment = fl_fp_enter()
    while at < n and parts:
        length = min(length, n - at)
        l = loss + at if loss != NULL else NULL
        g = gradient + at if gradient != NULL else nobodys
        if real is float:
            (<kernel_f32>kernel)(y + at, p + at, self.f32.parameters, l, g, hessian + at, length)
        else:
            (<kernel_f64>kernel)(y + at, p + at, self.f64.parameters, l, g, hessian + at, length)
        at += length
    fl_fp_leave(environment)


cdef inline void whole(fl_array* to, const void* data, int code, int size) noexcept nogil:
    to.data, to.stride, to.code, to.size, to.swapped = <char*>data, size, code, size, 0


cdef inline int cost_of(const fastloss_loss* self, const real* y, const real* p, const double* w, real* gradient, Py_ssize_t n, double* cost, Py_ssize_t* where) noexcept nogil:
    cdef real none = 0
    cdef const fastloss_bound* bound = bound_of[real](none, self)
    cdef Job job
    cdef Task task
    cdef Worker worker
    cdef Tally tally
    cdef int status, i, code = FL_F32 if sizeof(real) == 4 else FL_F64
    cdef double divisor = <double>n
    cdef fl_fp_state environment = fl_fp_enter()
    memset(&job, 0, sizeof(Job))
    job.n, job.scale, job.weighted = n, 1.0, w != NULL
    whole(&job.y, y, code, sizeof(real))
    whole(&job.p, p, code, sizeof(real))
    whole(&job.w, w, FL_F64, sizeof(double))
    memset(&worker, 0, sizeof(Worker))
    memset(&tally, 0, sizeof(Tally))
    worker.tallies, job.tasks, job.wide = &tally, &task, sizeof(real) == 8
    cost[0] = where[0] = 0
    if gradient != NULL:
        if w != NULL:       # the gradient is divided by the sum of the weights, which has to be known before
            run_range[real](none, &job, &worker, 0, n)
            if not job.failed:
                divisor = sum_of(&worker.weights)
            memset(&worker, 0, sizeof(Worker))
            worker.tallies = &tally
            job.failed = False      # a bad weight is told by the pass over all, in its order
        job.scale = 1.0 / divisor
        job.wanted[1] = job.direct[1] = True
        whole(&job.outputs[1], gradient, code, sizeof(real))
    job.summed, job.n_tasks = True, 1
    for i in range(8):
        task.parameters[i] = bound.parameters[i]
    task.kernel = bound.kernels[OUTPUT_SET[3 if gradient != NULL else 1]]
    task.signed_labels = False
    task.target.kind, task.target.low, task.target.high = bound.target_kind, bound.target[0], bound.target[1]
    task.prediction.kind, task.prediction.low, task.prediction.high = bound.prediction_kind, bound.prediction[0], bound.prediction[1]
    run_range[real](none, &job, &worker, 0, n)
    status = outcome(&job, &worker, &tally, cost, where)
    fl_fp_leave(environment)        # only now: sums and quotients may be subnormal
    return status


cdef int outcome(Job* job, Worker* worker, Tally* tally, double* cost, Py_ssize_t* where) noexcept nogil:
    """The status, with the cost, or where what is wrong."""
    cdef int exact
    cdef bint weighted = job.weighted
    if job.failed:
        where[0] = worker.error_at - 1
        cost[0] = fl_inf - fl_inf
        return FASTLOSS_TARGET + worker.error_in
    if job.n == 0 or (weighted and not sum_of(&worker.weights) > 0.0):
        cost[0] = fl_inf - fl_inf
        return FASTLOSS_NOTHING
    if tally.n_nan or (tally.n_positive and tally.n_negative):
        cost[0] = fl_inf - fl_inf
        return FASTLOSS_OK
    if tally.n_positive or tally.n_negative:
        cost[0] = fl_inf if tally.n_positive else -fl_inf
        return FASTLOSS_OK
    if weighted:
        exact = fl_exact_quotient(&tally.total, &worker.weights, cost)
    else:
        cost[0] = fl_exact_mean(&tally.total, job.n, &exact)
    if not exact:
        with gil:
            cost[0] = quotient_of(&tally.total, &worker.weights, 0 if weighted else job.n)
    return FASTLOSS_OK


cdef double sum_of(fl_exact* total) noexcept nogil:
    cdef int exact
    cdef double result = fl_exact_mean(total, 1, &exact)
    if not exact:
        with gil:
            result = quotient_of(total, NULL, 1)
    return result


cdef double quotient_of(fl_exact* total, fl_exact* weights, Py_ssize_t n) noexcept:
    """total / weights, or total / n if that is not 0; infinite if no double is as large."""
    from fastloss.engine.exact import ONE, quotient
    return quotient(as_int(total), n * ONE if n else as_int(weights))


cdef void outputs_f32(const fastloss_loss* self, const float* y, const float* p, float* loss, float* gradient, float* hessian, Py_ssize_t n) noexcept nogil:
    outputs_of[float](self, y, p, loss, gradient, hessian, n)


cdef void outputs_f64(const fastloss_loss* self, const double* y, const double* p, double* loss, double* gradient, double* hessian, Py_ssize_t n) noexcept nogil:
    outputs_of[double](self, y, p, loss, gradient, hessian, n)


cdef int cost_f32(const fastloss_loss* self, const float* y, const float* p, const double* w, float* gradient, Py_ssize_t n, double* cost, Py_ssize_t* at) noexcept nogil:
    return cost_of[float](self, y, p, w, gradient, n, cost, at)


cdef int cost_f64(const fastloss_loss* self, const double* y, const double* p, const double* w, double* gradient, Py_ssize_t n, double* cost, Py_ssize_t* at) noexcept nogil:
    return cost_of[double](self, y, p, w, gradient, n, cost, at)


cdef fastloss_functions FUNCTIONS
FUNCTIONS.outputs_f32, FUNCTIONS.outputs_f64 = outputs_f32, outputs_f64
FUNCTIONS.cost_f32, FUNCTIONS.cost_f64 = cost_f32, cost_f64


cdef int fill(fastloss_bound* to, Bound bound) except -1:
    cdef int i
    for i in range(5):
        to.kernels[i] = bound.kernel(i)
    for i in range(8):
        to.parameters[i] = bound.task.parameters[i]
    to.target_kind, to.target[0], to.target[1] = bound.task.target.kind, bound.task.target.low, bound.task.target.high
    to.prediction_kind, to.prediction[0], to.prediction[1] = bound.task.prediction.kind, bound.task.prediction.low, bound.task.prediction.high
    return 0


cdef void let_go(object capsule) noexcept:
    free(PyCapsule_GetPointer(capsule, FASTLOSS_CAPSULE))


def capsule(Bound narrow, Bound wide):
    """A loss as C has it: a capsule with a fastloss_loss, made of its Bound for float32 and float64."""
    cdef fastloss_loss* loss = <fastloss_loss*>malloc(sizeof(fastloss_loss))
    if loss == NULL:
        raise MemoryError()
    try:
        loss.functions = &FUNCTIONS
        fill(&loss.f32, narrow)
        fill(&loss.f64, wide)
        return PyCapsule_New(loss, FASTLOSS_CAPSULE, let_go)
    except BaseException:
        free(loss)
        raise
