# What Python sees of a kernel module: Bound (a loss with its parameters), run (a job over arrays), cost (the short way for plain
# arrays). engine/cython_backend.py is its only caller.

cimport numpy as cnp

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


cdef inline bint plain(object array, int code) noexcept:
    """Is it exactly an ndarray of this type, one-dimensional, contiguous, aligned and of native byte order?"""
    return (cnp.PyArray_CheckExact(array) and cnp.PyArray_TYPE(<cnp.ndarray>array) == code and cnp.PyArray_NDIM(<cnp.ndarray>array) == 1
            and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray>array))


def cost(Bound narrow, Bound wide, y, p):
    """The unweighted cost of two plain arrays of one float dtype and at most SHORT samples; None if this is another case, or if
    anything at all is unusual about it: the general way then finds out what."""
    cdef Bound bound
    cdef Job job
    cdef Worker worker
    cdef Tally tally
    cdef int exact
    cdef double result
    if plain(p, cnp.NPY_FLOAT32) and plain(y, cnp.NPY_FLOAT32):
        bound = narrow
    elif plain(p, cnp.NPY_FLOAT64) and plain(y, cnp.NPY_FLOAT64):
        bound = wide
    else:
        return None
    job.n = cnp.PyArray_DIM(<cnp.ndarray>p, 0)
    if job.n != cnp.PyArray_DIM(<cnp.ndarray>y, 0) or job.n > SHORT or job.n == 0:
        return None
    memset(&job, 0, sizeof(Job))
    memset(&worker, 0, sizeof(Worker))
    memset(&tally, 0, sizeof(Tally))
    job.n = cnp.PyArray_DIM(<cnp.ndarray>p, 0)
    bound.task.kernel = bound.kernel(0)
    job.tasks, job.n_tasks, job.workers = &bound.task, 1, &worker
    worker.tallies = &tally
    job.summed, job.scale = True, 1.0
    job.y.data, job.p.data = <char*>cnp.PyArray_DATA(<cnp.ndarray>y), <char*>cnp.PyArray_DATA(<cnp.ndarray>p)
    job.y.stride = job.p.stride = job.y.size = job.p.size = 8 if bound.wide else 4
    job.y.code = job.p.code = FL_F64 if bound.wide else FL_F32
    if bound.wide:
        run_range[double](0.0, &job, &worker, 0, job.n)
    else:
        run_range[float](0.0, &job, &worker, 0, job.n)
    if job.failed or tally.n_nan or tally.n_positive or tally.n_negative:
        return None
    result = fl_exact_mean(&tally.total, job.n, &exact)
    return result if exact else None


def apply_math(str name, cnp.ndarray a, cnp.ndarray b, cnp.ndarray out):
    """A function of the formulas' vocabulary over contiguous arrays of float32 or float64; for the tests of its accuracy."""
    if cnp.PyArray_TYPE(a) == cnp.NPY_FLOAT32:
        apply_math_f32(name, <fl_in_f32>cnp.PyArray_DATA(a), <fl_in_f32>cnp.PyArray_DATA(b), <fl_out_f32>cnp.PyArray_DATA(out), a.size)
    else:
        apply_math_f64(name, <fl_in_f64>cnp.PyArray_DATA(a), <fl_in_f64>cnp.PyArray_DATA(b), <fl_out_f64>cnp.PyArray_DATA(out), a.size)
