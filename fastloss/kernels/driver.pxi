# The driver: takes tiles of the user's arrays through load -> check -> kernel -> weigh -> sum -> store (passes.pxi). Written once for all
# losses; each instruction set's module includes it and the generated kernels. Nothing here is a Python object but the last page.

from cpython.bytes cimport PyBytes_AsString, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memset

cdef extern from "formula.h" nogil:
    ctypedef const float* fl_in_f32
    ctypedef const double* fl_in_f64
    ctypedef float* fl_out_f32
    ctypedef double* fl_out_f64
    double fl_inf
    double fl_where(int, double, double) noexcept
    float fl_wheref(int, float, float) noexcept

cdef extern from "tile.h" nogil:
    void* fl_zeros(size_t)
    ctypedef struct fl_room:
        double* y
        double* p
        double* sign
        double* w
        double* terms
        double** outputs
    enum: FL_TILE
    enum: FL_BOOL
    enum: FL_I64
    enum: FL_F16
    enum: FL_F32
    enum: FL_F64
    ctypedef struct fl_array:
        char* data
        Py_ssize_t stride
        int code
        int size
        int swapped
    void fl_ask(const fl_array*, Py_ssize_t, Py_ssize_t) noexcept
    void fl_touch(const fl_array*, Py_ssize_t, Py_ssize_t) noexcept
    const float* fl_load_f32(const fl_array*, Py_ssize_t, Py_ssize_t, float*) noexcept
    const double* fl_load_f64(const fl_array*, Py_ssize_t, Py_ssize_t, double*) noexcept
    void fl_store_f32(const float*, const fl_array*, Py_ssize_t, Py_ssize_t) noexcept
    void fl_store_f64(const double*, const fl_array*, Py_ssize_t, Py_ssize_t) noexcept
    int fl_outside_f32(const float*, Py_ssize_t, float, float) noexcept
    int fl_outside_f64(const double*, Py_ssize_t, double, double) noexcept
    int fl_unlabelled_f32(const float*, Py_ssize_t, float, float) noexcept
    int fl_unlabelled_f64(const double*, Py_ssize_t, double, double) noexcept

cdef extern from "exactsum.h" nogil:
    enum: FL_LIMBS
    ctypedef struct fl_exact:
        int64_t limb[FL_LIMBS]
    void fl_exact_add(fl_exact*, double) noexcept
    void fl_exact_deposit(fl_exact*, double) noexcept
    void fl_exact_carry(fl_exact*) noexcept
    void fl_exact_merge(fl_exact*, fl_exact*) noexcept
    ctypedef struct fl_sum:
        pass
    int fl_sum_add_f32(fl_sum*, fl_exact*, const float*, Py_ssize_t) noexcept
    int fl_sum_add_f64(fl_sum*, fl_exact*, const double*, Py_ssize_t) noexcept
    void fl_sum_close(fl_sum*, fl_exact*) noexcept
    double fl_exact_mean(fl_exact*, uint64_t, int*) noexcept

cdef extern from "pool.h" nogil:
    ctypedef void (*fl_work)(void*, int) noexcept nogil
    void fl_pool_run(fl_work, void*, int) noexcept
    Py_ssize_t fl_take(Py_ssize_t*, Py_ssize_t) noexcept
    int fl_pool_forks() noexcept
    double fl_seconds() noexcept

cdef extern from "fpenv.h" nogil:
    ctypedef int fl_fp_state
    fl_fp_state fl_fp_enter() noexcept
    void fl_fp_leave(fl_fp_state) noexcept

ctypedef void (*kernel_f32)(fl_in_f32, fl_in_f32, const double*, fl_out_f32, fl_out_f32, fl_out_f32, Py_ssize_t) noexcept nogil
ctypedef void (*kernel_f64)(fl_in_f64, fl_in_f64, const double*, fl_out_f64, fl_out_f64, fl_out_f64, Py_ssize_t) noexcept nogil

include "generated.pxi"

ctypedef fused real:
    float
    double

DEF MAX_PARAMETERS = 8

cdef enum:
    ANYTHING = 0
    INTERVAL = 1
    LABELS = 2

cdef struct Check:          # what an argument may be: in [low, high], or low or high
    int kind
    double low
    double high

cdef struct Task:           # one loss, bound to a dtype and to parameters
    void* kernel
    double parameters[MAX_PARAMETERS]
    Check target
    Check prediction
    bint signed_labels      # bool targets mean -1 and +1

cdef struct Tally:          # what one loss has added up to
    fl_sum lanes            # empty between slabs
    fl_exact total
    fl_exact left_out       # weights of rows that nan="skip" leaves out
    Py_ssize_t n_nan
    Py_ssize_t n_positive   # infinite losses by sign
    Py_ssize_t n_negative
    Py_ssize_t first_nan    # index + 1; 0: none

cdef enum:
    IN_TARGET = 0
    IN_PREDICTION = 1
    IN_WEIGHT = 2

cdef struct Worker:         # all zero at the start
    fl_sum weight_lanes
    fl_exact weights
    Tally* tallies
    Py_ssize_t error_at     # index + 1 of the first bad value seen; 0: none
    int error_task
    int error_in

cdef struct Job:
    Py_ssize_t n
    Py_ssize_t slab         # samples that a worker takes at a time, at most
    Py_ssize_t next
    Py_ssize_t company      # workers that came besides the caller
    bint wide               # computes in float64
    int n_tasks
    Task* tasks
    fl_array y
    fl_array p
    fl_array w
    bint weighted
    bint summed
    bint skip_nan
    double scale            # of gradients and Hessians
    fl_array outputs[3]     # loss, gradient, hessian
    bint wanted[3]
    bint direct[3]          # kernels write the user's memory themselves
    bint interruptible
    bint failed
    bint interrupted
    Worker* workers


cdef inline bint violates(real tag, const Check* check, const real* x, Py_ssize_t n) noexcept nogil:
    if check.kind == ANYTHING:
        return False
    if real is float:
        if check.kind == INTERVAL:
            return fl_outside_f32(x, n, <float>check.low, <float>check.high)
        return fl_unlabelled_f32(x, n, <float>check.low, <float>check.high)
    else:
        if check.kind == INTERVAL:
            return fl_outside_f64(x, n, check.low, check.high)
        return fl_unlabelled_f64(x, n, check.low, check.high)


cdef void refuse(real tag, Worker* me, Job* job, const real* y, const real* sign, const real* p, const double* w, Py_ssize_t n, Py_ssize_t at) noexcept nogil:
    """Note the first bad value of a tile that holds one, by asking sample by sample, and of each: its weight (if w is not NULL), then
    the losses in order, y before p. Slabs are taken in order and each is gone through up to its first bad value, so that the least
    index that any worker notes is the least of all. ``sign``: what y is to losses whose labels have signs."""
    cdef Py_ssize_t i
    cdef int k
    cdef Task* task
    job.failed = True
    for i in range(n):
        me.error_at = at + i + 1
        if w != NULL and not (w[i] >= 0.0 and w[i] - w[i] == 0.0):
            me.error_task, me.error_in = 0, IN_WEIGHT
            return
        for k in range(job.n_tasks):
            task = &job.tasks[k]
            me.error_task, me.error_in = k, IN_TARGET
            if violates[real](tag, &task.target, (sign if task.signed_labels else y) + i, 1):
                return
            me.error_in = IN_PREDICTION
            if violates[real](tag, &task.prediction, p + i, 1):
                return


cdef inline void add_one_by_one(real tag, Tally* tally, const real* loss, const double* w, Py_ssize_t n, Py_ssize_t at, bint skip_nan) noexcept nogil:
    """The sum of a tile that holds infinities or NaN: they are counted, the rest stays exact."""
    cdef Py_ssize_t i
    cdef double term
    for i in range(n):
        term = <double>loss[i] * w[i] if w != NULL else <double>loss[i]
        if term != term:
            tally.n_nan += 1
            if tally.first_nan == 0 or at + i + 1 < tally.first_nan:
                tally.first_nan = at + i + 1
            if skip_nan and w != NULL:
                fl_exact_add(&tally.left_out, w[i])
        elif term - term != 0.0:
            tally.n_positive += term > 0.0
            tally.n_negative += term < 0.0
        else:
            fl_exact_add(&tally.total, term)


cdef inline void add_tile(real tag, Tally* tally, const real* loss, const double* w, double* terms, Py_ssize_t n, Py_ssize_t at, bint skip_nan) noexcept nogil:
    cdef Py_ssize_t i
    cdef int special
    if w != NULL:
        for i in range(n):
            terms[i] = w[i] * <double>loss[i]
        special = fl_sum_add_f64(&tally.lanes, &tally.total, terms, n)
    elif real is float:
        special = fl_sum_add_f32(&tally.lanes, &tally.total, loss, n)
    else:
        special = fl_sum_add_f64(&tally.lanes, &tally.total, loss, n)
    if special:
        add_one_by_one[real](tag, tally, loss, w, n, at, skip_nan)


cdef inline void weigh(real tag, real* values, const double* w, double scale, Py_ssize_t n) noexcept nogil:
    """Per-sample outputs carry their weight, as in sklearn._loss; the product is a float64 one, rounded once."""
    cdef Py_ssize_t i
    if w != NULL:
        for i in range(n):
            values[i] = <real>(<double>values[i] * (w[i] * scale))
    elif scale != 1.0:
        for i in range(n):
            values[i] = <real>(<double>values[i] * scale)


include "passes.pxi"
