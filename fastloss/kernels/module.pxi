# What Python sees of a kernel module: Bound (a loss with its parameters), run (a job over arrays), cost (the short way for plain
# arrays). engine/cython_backend.py is its only caller.

cimport numpy as cnp

import numpy as np

cnp.import_array()

cdef enum:
    SHORT = 4096            # samples below which neither threads nor giving up the GIL pay


cdef class Bound:
    """A loss, its parameters and the checks of its arguments, for one compute dtype.

    checks are (kind, low, high) with closed bounds in that dtype; signed_labels: bool targets mean -1 and +1."""
    cdef Task task
    cdef int row
    cdef readonly bint wide

    def __cinit__(self, str name, bint wide, tuple parameters, tuple target, tuple prediction, bint signed_labels):
        cdef int i
        if len(parameters) > MAX_PARAMETERS:
            raise ValueError(f"{name} has more than {MAX_PARAMETERS} parameters")
        self.row = KERNELS[name]
        self.wide = wide
        for i in range(len(parameters)):
            self.task.parameters[i] = parameters[i]
        self.task.target.kind, self.task.target.low, self.task.target.high = target
        self.task.prediction.kind, self.task.prediction.low, self.task.prediction.high = prediction
        self.task.signed_labels = signed_labels

    cdef void* kernel(self, int outputs) noexcept:
        return <void*>kernels_f64[self.row][outputs] if self.wide else <void*>kernels_f32[self.row][outputs]


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
    cdef Bound bound
    cdef int i, k, n_tasks = len(bounds)
    cdef Py_ssize_t tiles
    cdef char* memory
    cdef size_t worker_size = (sizeof(Worker) + 63) // 64 * 64 + (n_tasks * sizeof(Tally) + 127) // 64 * 64
    memset(&job, 0, sizeof(Job))
    job.n, job.n_tasks = n, n_tasks
    job.wide = n_tasks == 0 or (<Bound>bounds[0]).wide
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
    if threads < 1 or n <= SHORT:
        threads = 1
    tiles = (n + FL_TILE - 1) // FL_TILE
    job.slab = FL_TILE * max(1, min(64, tiles // (4 * threads)))  # several slabs per thread: the machine may be shared
    job.interruptible = n > SHORT
    memory = <char*>calloc(threads, worker_size + n_tasks * sizeof(Task))
    if memory == NULL:
        raise MemoryError()
    try:
        job.tasks = <Task*>memory
        for k in range(n_tasks):
            bound = bounds[k]
            job.tasks[k] = bound.task
            job.tasks[k].kernel = bound.kernel(output_set)
        return run_job(&job, memory + n_tasks * sizeof(Task), worker_size, threads)
    finally:
        free(memory)


cdef object run_job(Job* job, char* memory, size_t worker_size, int threads):
    cdef Worker* me
    cdef Worker* first
    cdef int i, k
    job.workers = <Worker*>calloc(threads, sizeof(Worker))
    if job.workers == NULL:
        raise MemoryError()
    try:
        for i in range(threads):
            job.workers[i].tallies = <Tally*>(memory + i * worker_size)
        if threads == 1 and job.n <= SHORT:
            work(job, 0)
        else:
            with nogil:
                fl_pool_run(work, job, threads)
            fl_raise_pending()
        first = &job.workers[0]
        for i in range(1, threads):
            me = &job.workers[i]
            fl_exact_merge(&first.weights, &me.weights)
            if me.error_at and (first.error_at == 0 or me.error_at < first.error_at):
                first.error_at, first.error_task, first.error_in = me.error_at, me.error_task, me.error_in
            for k in range(job.n_tasks):
                merge_tallies(&first.tallies[k], &me.tallies[k])
        error = (first.error_at - 1, first.error_task, first.error_in) if first.error_at else None
        weights = as_int(&first.weights) if job.weighted else None
        if not job.summed:
            return error, weights, []
        return error, weights, [tally_object(&first.tallies[k]) for k in range(job.n_tasks)]
    finally:
        free(job.workers)


cdef void merge_tallies(Tally* into, Tally* other) noexcept:
    fl_exact_merge(&into.total, &other.total)
    fl_exact_merge(&into.left_out, &other.left_out)
    into.n_nan += other.n_nan
    into.n_positive += other.n_positive
    into.n_negative += other.n_negative
    if other.first_nan and (into.first_nan == 0 or other.first_nan < into.first_nan):
        into.first_nan = other.first_nan


cdef object tally_object(Tally* tally):
    return as_int(&tally.total), as_int(&tally.left_out), tally.n_nan, tally.n_positive, tally.n_negative, tally.first_nan - 1


cdef int CODE_OF[64]        # by NumPy's type number; -1: not ours, or not plain
for number in range(64):
    CODE_OF[number] = -1
for code, name in enumerate(("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", None, "float32", "float64")):
    if name is not None:
        CODE_OF[np.dtype(name).num] = code


cdef inline int plain(object array, fl_array* to) noexcept:
    """Describe a one-dimensional, contiguous, aligned, native ndarray of one of our types; 0 if it is anything else."""
    cdef cnp.ndarray a
    if not cnp.PyArray_CheckExact(array):
        return 0
    a = <cnp.ndarray>array
    if cnp.PyArray_NDIM(a) != 1 or not cnp.PyArray_ISCARRAY_RO(a) or not 0 <= cnp.PyArray_TYPE(a) < 64:
        return 0
    to.code = CODE_OF[cnp.PyArray_TYPE(a)]
    to.data = <char*>cnp.PyArray_DATA(a)
    to.stride = to.size = <int>cnp.PyArray_ITEMSIZE(a)
    to.swapped = 0
    return to.code >= 0


def cost(Bound narrow, Bound wide, y, p, w):
    """The cost of plain arrays of at most SHORT samples, w being weights or None. None is the answer where anything at all is
    unusual about the case, errors included: the general way then finds out what."""
    cdef Bound bound
    cdef Job job
    cdef Worker worker
    cdef Tally tally
    cdef Task task
    cdef Py_ssize_t n
    cdef int exact
    cdef double result
    cdef fl_fp_state environment
    if not plain(p, &job.p) or not plain(y, &job.y) or job.p.code < FL_F16:
        return None
    n = cnp.PyArray_DIM(<cnp.ndarray>p, 0)
    if n != cnp.PyArray_DIM(<cnp.ndarray>y, 0) or n > SHORT or n == 0:
        return None
    job.weighted = w is not None
    if job.weighted and (not plain(w, &job.w) or n != cnp.PyArray_DIM(<cnp.ndarray>w, 0)):
        return None
    job.n, job.n_tasks, job.tasks, job.workers = n, 1, &task, &worker
    job.summed, job.skip_nan, job.failed, job.interrupted, job.scale = True, False, False, False, 1.0
    job.wanted[0] = job.wanted[1] = job.wanted[2] = job.direct[0] = job.direct[1] = job.direct[2] = False
    memset(&worker, 0, sizeof(Worker))
    memset(&tally, 0, sizeof(Tally))
    worker.tallies = &tally
    bound = wide if job.p.code == FL_F64 or job.y.code == FL_F64 else narrow
    task = bound.task
    task.kernel = bound.kernel(0)
    environment = fl_fp_enter()
    if bound.wide:
        run_range[double](0.0, &job, &worker, 0, n)
    else:
        run_range[float](0.0, &job, &worker, 0, n)
    fl_fp_leave(environment)
    if job.failed or tally.n_nan or tally.n_positive or tally.n_negative:
        return None
    if job.weighted:
        weights = as_int(&worker.weights)
        environment = fl_fp_enter()  # for a quotient that is subnormal
        try:
            return as_int(&tally.total) / weights if weights else None
        except OverflowError:
            return None
        finally:
            fl_fp_leave(environment)
    result = fl_exact_mean(&tally.total, n, &exact)
    return result if exact else None


def apply_math(str name, cnp.ndarray a, cnp.ndarray b, cnp.ndarray out):
    """A function of the formulas' vocabulary over contiguous arrays of float32 or float64; for the tests of its accuracy."""
    if cnp.PyArray_TYPE(a) == cnp.NPY_FLOAT32:
        apply_math_f32(name, <fl_in_f32>cnp.PyArray_DATA(a), <fl_in_f32>cnp.PyArray_DATA(b), <fl_out_f32>cnp.PyArray_DATA(out), a.size)
    else:
        apply_math_f64(name, <fl_in_f64>cnp.PyArray_DATA(a), <fl_in_f64>cnp.PyArray_DATA(b), <fl_out_f64>cnp.PyArray_DATA(out), a.size)
