# What Python sees of a kernel module, but for the short way of plain arrays (calls.pxi): Bound, a loss with its parameters, and run,
# a job over arrays of any kind. engine/cython_backend.py is the only caller.

cimport numpy as cnp

import numpy as np

from libc.math cimport sqrt

cnp.import_array()

cdef extern from "quotient.h" nogil:
    int fl_exact_quotient(fl_exact*, fl_exact*, double*) noexcept

cdef enum:
    SHORT = 4096            # samples below which neither threads nor giving up the GIL pay


cdef class Bound:
    """A loss, its parameters and the checks of its arguments, for one compute dtype.

    checks are (kind, low, high) with closed bounds in that dtype; signed_labels: bool targets mean -1 and +1.
    make, of a loss that has no kernels in this module: make(output set) is the address of one, asked for when it is first needed, which
    stays valid as long as `make` lives."""
    cdef Task task
    cdef int row
    cdef object make
    cdef void* made[5]
    cdef readonly bint wide
    cdef double measured[5]     # by output set; 0: not yet

    def __cinit__(self, str name, bint wide, tuple parameters, tuple target, tuple prediction, bint signed_labels, make=None):
        cdef int i
        if len(parameters) > MAX_PARAMETERS:
            raise ValueError(f"{name} has more than {MAX_PARAMETERS} parameters")
        self.row = KERNELS[name] if make is None else -1
        self.make = make
        self.wide = wide
        for i in range(len(parameters)):
            self.task.parameters[i] = parameters[i]
        self.task.target.kind, self.task.target.low, self.task.target.high = target
        self.task.prediction.kind, self.task.prediction.low, self.task.prediction.high = prediction
        self.task.signed_labels = signed_labels

    cdef void* kernel(self, int outputs) except NULL:
        if self.make is not None:
            if self.made[outputs] == NULL:
                self.made[outputs] = <void*><size_t>self.make(outputs)
            return self.made[outputs]
        return <void*>kernels_f64[self.row][outputs] if self.wide else <void*>kernels_f32[self.row][outputs]

    cdef double kernel_nanoseconds(self, int output_set) except -1.0:
        """What a sample costs in the kernel, measured once: parameters and instruction set matter, and change it tenfold."""
        cdef double memory[5 * FL_TILE]
        cdef float* narrow = <float*>memory
        cdef double started, least = 1.0
        cdef int i, k, times = 1, o = FL_TILE
        if self.measured[output_set] == 0.0:
            for i in range(FL_TILE):
                if self.wide:
                    memory[i], memory[o + i] = 1.0, 0.4
                else:
                    narrow[i], narrow[o + i] = 1.0, <float>0.4
            for i in range(4):
                started = fl_seconds()
                for k in range(times):
                    if self.wide:
                        (<kernel_f64>self.kernel(output_set))(
                            memory, memory + o, self.task.parameters, memory + 2 * o, memory + 3 * o, memory + 4 * o, FL_TILE
                        )
                    else:
                        (<kernel_f32>self.kernel(output_set))(
                            narrow, narrow + o, self.task.parameters, narrow + 2 * o, narrow + 3 * o, narrow + 4 * o, FL_TILE
                        )
                least = min(least, (fl_seconds() - started) / times)
                times = 8 if least < 2e-6 else 1    # the clock counts in steps of about 200 ns
            self.measured[output_set] = max(0.01, 1e9 * least / FL_TILE)
        return self.measured[output_set]

    cpdef double nanoseconds(self, int output_set, bint summed, bint weighted, int outputs) except -1.0:
        """What a sample costs one thread, roughly: it is loaded, taken through the kernel, summed, weighed and stored."""
        return 0.1 + self.kernel_nanoseconds(output_set) + 0.17 * summed + 0.07 * outputs + weighted * (0.45 + 0.1 * outputs)


cdef void describe(fl_array* to, object operand) except *:
    """operand: (array of one dimension, or of none to be repeated; dtype code; swapped)."""
    cdef cnp.ndarray array = operand[0]
    to.data = <char*>cnp.PyArray_DATA(array)
    to.stride = cnp.PyArray_STRIDE(array, 0) if cnp.PyArray_NDIM(array) else 0
    to.size = <int>cnp.PyArray_ITEMSIZE(array)
    to.code = operand[1]
    to.swapped = operand[2]


cdef object as_int(fl_exact* total):
    """The accumulator as a Python integer, in units of 2**-1088."""
    cdef char data[4 * (FL_LIMBS - 1) + 8]
    cdef int i
    fl_exact_carry(total)
    for i in range(FL_LIMBS - 1):
        (<unsigned int*>(data + 4 * i))[0] = <unsigned int>total.limb[i]
    (<int64_t*>(data + 4 * (FL_LIMBS - 1)))[0] = total.limb[FL_LIMBS - 1]
    return int.from_bytes(data[:4 * (FL_LIMBS - 1) + 8], "little", signed=True)


def run(list bounds, Py_ssize_t n, y, p, w, tuple outputs, int output_set, bint summed, bint skip_nan, double scale, int threads):
    """Take n samples through the given losses in one pass; through none of them, only the weights are summed.

    y, p, w (or None) and each of outputs = (loss, gradient, hessian) (or None) are operands as `describe` takes them.
    Returns (error, weights, tallies): error is None or (index, position of the loss, 0 target | 1 prediction | 2 weight); weights
    and each tally's total and left_out are integers in units of 2**-1088; a tally is
    (total, left_out, n_nan, n_positive_infinite, n_negative_infinite, index of the first NaN or -1).
    """
    cdef Job job
    cdef int i
    memset(&job, 0, sizeof(Job))
    job.n = n
    job.wide = len(bounds) == 0 or (<Bound>bounds[0]).wide
    job.summed, job.skip_nan, job.scale = summed, skip_nan, scale
    describe(&job.y, y)
    describe(&job.p, p)
    if w is not None:
        describe(&job.w, w)
        job.weighted = True
    for i in range(3):
        if outputs[i] is not None:
            describe(&job.outputs[i], outputs[i])
            job.wanted[i] = True
            job.direct[i] = outputs[i][3]
    return run_job(&job, bounds, output_set, threads, False)


cdef object run_job(Job* job, list bounds, int output_set, int threads, bint means):
    """Do a job that is described but for its losses. What `run` returns; or the means, None in place of those that `mean` leaves to others."""
    cdef Worker worker
    cdef Bound bound
    cdef int k
    job.n_tasks = len(bounds)
    memset(&worker, 0, sizeof(Worker))
    worker.tallies = <Tally*>fl_zeros((job.n_tasks + 1) * (sizeof(Tally) + sizeof(Task)))
    if worker.tallies == NULL:
        raise MemoryError()
    try:
        job.tasks = <Task*>(worker.tallies + job.n_tasks + 1)
        for k in range(job.n_tasks):
            bound = bounds[k]
            job.tasks[k] = bound.task
            job.tasks[k].kernel = bound.kernel(output_set)
        launch(job, &worker, threads)
        if means:
            return None if job.failed else [mean(job, &worker, &worker.tallies[k], False, False) for k in range(job.n_tasks)]
        error = (worker.error_at - 1, worker.error_task, worker.error_in) if worker.error_at else None
        weights = as_int(&worker.weights) if job.weighted else None
        if not job.summed:
            return error, weights, []
        return error, weights, [tally_object(&worker.tallies[k], job.skip_nan) for k in range(job.n_tasks)]
    finally:
        free(worker.tallies)


cdef int launch(Job* job, Worker* me, int threads) except -1:
    """Do the job. `me` has its tallies, and is all zero; it ends up with what all threads found. Ctrl-C is an exception."""
    cdef Worker* other
    cdef char* memory
    cdef Py_ssize_t tiles
    cdef size_t size
    cdef int i, k
    cdef fl_fp_state environment
    if job.n <= SHORT:      # here and in `work` are the only calls of run_range; this one keeps the GIL
        environment = fl_fp_enter()
        if job.wide:
            run_range[double](0.0, job, me, 0, job.n)
        else:
            run_range[float](0.0, job, me, 0, job.n)
        fl_fp_leave(environment)
        return 0
    tiles = (job.n + FL_TILE - 1) // FL_TILE
    threads = <int>max(1, min(threads, tiles))
    job.slab = FL_TILE * max(1, min(128, tiles // (4 * threads)))  # several slabs per thread: the machine may be shared
    job.next, job.interruptible = 0, True
    if threads == 1:
        job.workers = me
        with nogil:
            work(job, 0)
        return fl_raise_pending()
    size = sizeof(Worker) + job.n_tasks * sizeof(Tally)
    memory = <char*>fl_zeros(threads * size)
    if memory == NULL:
        raise MemoryError()
    job.workers = <Worker*>memory
    job.workers[0] = me[0]
    for i in range(1, threads):
        job.workers[i].tallies = (<Tally*>(job.workers + threads)) + i * job.n_tasks
    with nogil:
        fl_pool_run(work, job, threads)
        me[0] = job.workers[0]
        for i in range(1, threads):
            other = &job.workers[i]
            fl_exact_merge(&me.weights, &other.weights)
            if other.error_at and (me.error_at == 0 or other.error_at < me.error_at):
                me.error_at, me.error_task, me.error_in = other.error_at, other.error_task, other.error_in
            for k in range(job.n_tasks):
                merge_tallies(&me.tallies[k], &other.tallies[k])
        free(memory)
    return fl_raise_pending()


cdef void merge_tallies(Tally* into, Tally* other) noexcept nogil:
    fl_exact_merge(&into.total, &other.total)
    fl_exact_merge(&into.left_out, &other.left_out)
    into.n_nan += other.n_nan
    into.n_positive += other.n_positive
    into.n_negative += other.n_negative
    if other.first_nan and (into.first_nan == 0 or other.first_nan < into.first_nan):
        into.first_nan = other.first_nan


cdef object tally_object(Tally* tally, bint skip_nan):
    left_out = as_int(&tally.left_out) if skip_nan else 0
    return as_int(&tally.total), left_out, tally.n_nan, tally.n_positive, tally.n_negative, tally.first_nan - 1


cdef object mean(Job* job, Worker* worker, Tally* tally, bint root, bint total):
    """The cost (or total) that a tally comes to, correctly rounded; None if there is nothing to divide by, or if it takes special care."""
    cdef double result
    cdef int exact
    cdef fl_fp_state environment
    cdef Py_ssize_t n_nan = tally.n_nan
    cdef bint weighted = job.weighted and not total
    if job.skip_nan:
        if n_nan and (weighted or n_nan == job.n):
            return None
        n_nan = 0
    if weighted:
        exact = fl_exact_quotient(&tally.total, &worker.weights, &result)
    else:
        result = fl_exact_mean(&tally.total, 1 if total else job.n - tally.n_nan if job.skip_nan else job.n, &exact)
    if not exact:
        weights = as_int(&worker.weights) if weighted else 0
        if not weights:
            return None
        environment = fl_fp_enter()     # the quotient may be subnormal
        try:
            result = as_int(&tally.total) / weights
        except OverflowError:
            return None
        finally:
            fl_fp_leave(environment)
    if n_nan or (tally.n_positive and tally.n_negative):
        return np.nan
    if tally.n_positive or tally.n_negative:
        result = fl_inf if tally.n_positive else -fl_inf
    if root:
        if not result >= 0.0:
            return None
        environment = fl_fp_enter()
        result = sqrt(result)
        fl_fp_leave(environment)
    return result


def apply_math(str name, cnp.ndarray a, cnp.ndarray b, cnp.ndarray out):
    """A function of the formulas' vocabulary over contiguous arrays of float32 or float64; for the tests of its accuracy."""
    if cnp.PyArray_TYPE(a) == cnp.NPY_FLOAT32:
        apply_math_f32(name, <fl_in_f32>cnp.PyArray_DATA(a), <fl_in_f32>cnp.PyArray_DATA(b), <fl_out_f32>cnp.PyArray_DATA(out), a.size)
    else:
        apply_math_f64(name, <fl_in_f64>cnp.PyArray_DATA(a), <fl_in_f64>cnp.PyArray_DATA(b), <fl_out_f64>cnp.PyArray_DATA(out), a.size)


include "calls.pxi"
