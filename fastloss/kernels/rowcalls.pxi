# What Python sees of the rowwise kernels: RowBound, a loss with its parameters, and run_rows, a pass over rows of any layout.

cdef enum:
    STREAMED = 1 << 24      # bytes of an output from which on it is stored past the caches


cdef class RowBound:
    """A rowwise loss, its parameters, class weights and checks, for one compute dtype.

    parameters    numbers, in the definition's order
    class_weight  None or a contiguous array of the compute dtype
    targets, scores  checks (kind, low, high); ignore: None or the label of rows to leave out"""
    cdef RowTask task
    cdef int row, variant
    cdef bint needs_ones    # its kernel looks at class weights, and there are none
    cdef readonly bint wide
    cdef readonly object weights, name

    def __cinit__(self, str name, bint wide, tuple parameters, class_weight, tuple targets, tuple scores, ignore):
        cdef int i
        if len(parameters) > MAX_PARAMETERS:
            raise ValueError(f"{name} has more than {MAX_PARAMETERS} parameters")
        self.row, kinds = ROW_KERNELS[name]
        self.name, self.wide, self.weights = name, wide, class_weight
        for i in range(len(parameters)):
            self.task.parameters[i] = parameters[i]
        for self.variant, (fixed, weighs) in enumerate(kinds):      # the first that fits of compiler/rows_cython.py's variants
            if (weighs or class_weight is None) and all(parameters[index] == value for index, value in fixed.items()):
                break
        self.needs_ones = weighs and class_weight is None
        if class_weight is not None:
            self.task.c, self.task.weighs = cnp.PyArray_DATA(<cnp.ndarray>class_weight), True
        self.task.targets.kind, self.task.targets.low, self.task.targets.high = targets
        self.task.scores.kind, self.task.scores.low, self.task.scores.high = scores
        self.task.ignores = ignore is not None
        self.task.ignored = ignore if ignore is not None else 0

    cdef row_kernel kernel(self, bint lanes, int outputs) noexcept:
        if self.wide:
            return row_kernels_f64[self.row][0 if lanes else 1][outputs][self.variant]
        return row_kernels_f32[self.row][0 if lanes else 1][outputs][self.variant]


cdef int matrix(Matrix* to, object operand, Py_ssize_t n, Py_ssize_t classes, list keep) except -1:
    """operand: (array of shape (N, C); dtype code; swapped), or (list of such tuples of one-dimensional arrays,) for columns."""
    cdef cnp.ndarray array
    cdef Py_ssize_t j
    to.wanted = True
    if len(operand) == 1:
        columns = operand[0]
        room = PyBytes_FromStringAndSize(NULL, len(columns) * sizeof(fl_array))
        keep.append(room)
        to.columns = <fl_array*>PyBytes_AsString(room)
        to.class_major = True
        for j in range(classes):
            describe(&to.columns[j], columns[j])
        return 0
    array = operand[0]
    to.rows.data = <char*>cnp.PyArray_DATA(array)
    to.rows.stride = cnp.PyArray_STRIDE(array, 1)
    to.rows.size = <int>cnp.PyArray_ITEMSIZE(array)
    to.rows.code, to.rows.swapped = operand[1], operand[2]
    to.stride = cnp.PyArray_STRIDE(array, 0)
    if classes == 1:
        to.rows.stride = to.rows.size
    if n == 1:
        to.stride = classes * to.rows.stride
    to.class_major = abs(to.stride) < abs(to.rows.stride)
    return 0


def run_rows(list bounds, Py_ssize_t n, Py_ssize_t classes, z, y, w, loss, tuple outputs, int output_set, bint summed, bint skip_nan,
             double scale, int threads, bint by_label=False):
    """Take n rows of C scores through the given losses in one pass; output_set -1: only the weights are summed.

    z        matrix operand (see `matrix`); y: one, too, or the operand of N labels
    w, loss  operands as `describe` takes them, or None
    outputs  (gradient, hessian): matrix operands or None
    Returns (error, tallies): error is None or (row, class or -1, which loss, 0 target | 1 score | 2 weight); a tally is
    (total, left_out, n_nan, n_positive, n_negative, first_nan or -1, weights or None, n_ignored, labels), integers in units of 2**-1088;
    labels is None, or by_label what labels_object says.
    """
    cdef RowJob job
    cdef RowWorker* me
    cdef RowTally* into
    cdef int i, k, o
    cdef list keep = []
    memset(&job, 0, sizeof(RowJob))
    job.n, job.classes, job.n_tasks = n, classes, len(bounds)
    job.wide = (<RowBound>bounds[0]).wide
    job.summed, job.skip_nan, job.scale = summed, skip_nan, scale
    job.labels = len(y) == 3 and (<object>y[0]).ndim == 1
    if z is not None:
        matrix(&job.z, z, n, classes, keep)
    if job.labels:
        describe(&job.label, y)
    elif y is not None and output_set >= 0:
        matrix(&job.y, y, n, classes, keep)
    if w is not None:
        describe(&job.w, w)
        job.weighted = True
    if loss is not None:
        describe(&job.loss, loss)
        job.loss_wanted = True
    for o in range(2):
        if outputs[o] is not None:
            matrix(&job.outputs[o], outputs[o], n, classes, keep)
    threads = divide(&job, threads)
    tasks = PyBytes_FromStringAndSize(NULL, job.n_tasks * sizeof(RowTask))
    job.tasks = <RowTask*>PyBytes_AsString(tasks)
    for k in range(job.n_tasks):
        set_task(&job, k, bounds[k], output_set, keep)
    try:
        begin(&job, threads)
        for i in range(threads):
            for k in range(job.n_tasks if by_label else 0):
                open_labels(&job.workers[i].tallies[k].labels, classes)
        launch_rows(&job, threads)
        error = None
        for i in range(threads):
            me = &job.workers[i]
            if me.error_at and (error is None or me.error_at - 1 < error[0]):
                error = (me.error_at - 1, me.error_class, me.error_task, me.error_in)
        found = []
        if error is None and summed:
            for k in range(job.n_tasks):
                into = merged(&job, k, threads)
                weights = as_int(&into.weights) if weighs(&job, k) else None
                labels = None
                if by_label:
                    parts = [(<size_t>&job.workers[i].tallies[k].labels, classes) for i in range(threads)]
                    labels = labels_object(parts, weights is not None)
                found.append((*tally_object(&into.tally, skip_nan), weights, into.n_ignored, labels))
        return error, found
    finally:
        finish(&job, threads)


cdef int divide(RowJob* job, int threads) noexcept:
    """How rows are taken: across the lanes or along, in tiles and slabs of so many. Returns how many threads that is work for."""
    cdef Py_ssize_t o, whole = (job.n + FL_ACROSS - 1) // FL_ACROSS * FL_ACROSS
    cdef int worked = WORKED
    job.lanes = job.classes <= FL_FEW
    for o in range(2):
        if job.outputs[o].wanted and job.outputs[o].columns == NULL and job.outputs[o].rows.data != job.z.rows.data:
            job.stream |= job.n * job.classes * job.outputs[o].rows.size > STREAMED
    if job.stream and (job.outputs[0].class_major or job.outputs[1].class_major):
        worked = APART
    if job.lanes:
        job.step = min(<Py_ssize_t>FL_TILE, max(1, worked // job.classes // FL_ACROSS) * FL_ACROSS)
    else:
        job.step = max(1, min(<Py_ssize_t>FL_ACROSS, 16384 // job.classes))
    job.step = max(1, min(job.step, whole))     # of few rows, less memory to be furnished
    job.slab = max(job.step, (65536 // job.classes) // job.step * job.step)
    return <int>max(1, min(threads, (job.n + job.step - 1) // job.step))


cdef int set_task(RowJob* job, int k, RowBound bound, int output_set, list keep) except -1:
    """Make the loss the job's k-th. keep: what must live as long as the job."""
    cdef RowTask* task = &job.tasks[k]
    task[0] = bound.task
    task.kernel = NULL
    if output_set >= 0:
        task.kernel = bound.kernel(job.lanes, output_set)
    if bound.needs_ones:
        ones = np.ones(job.classes + FL_SPARE, np.float64 if job.wide else np.float32)
        keep.append(ones)
        task.c = cnp.PyArray_DATA(<cnp.ndarray>ones)
    return 0


cdef inline bint weighs(RowJob* job, int k) noexcept:
    """Do rows weigh differently, for the k-th loss?"""
    return job.weighted or (job.tasks[k].weighs and job.labels)


cdef int begin(RowJob* job, int threads) except -1:
    """The workers, which `finish` frees."""
    cdef int i
    cdef RowTally* tallies = <RowTally*>fl_zeros(threads * (sizeof(RowWorker) + job.n_tasks * sizeof(RowTally)))
    if tallies == NULL:
        raise MemoryError()
    job.workers = <RowWorker*>(tallies + threads * job.n_tasks)     # tallies first: they begin on a cache line
    for i in range(threads):
        job.workers[i].tallies = tallies + i * job.n_tasks
        furnish(job, &job.workers[i])
    return 0


cdef int launch_rows(RowJob* job, int threads) except -1:
    """Do the job. Ctrl-C is an exception."""
    job.interruptible = threads > 1 or job.n * job.classes > SHORT
    if job.interruptible:
        with nogil:
            fl_pool_run(row_work, job, threads)
    else:
        row_work(job, 0)
    return fl_raise_pending()


cdef RowTally* merged(RowJob* job, int k, int threads) noexcept:
    """What all workers added up of the k-th loss."""
    cdef RowTally* into = &job.workers[0].tallies[k]
    cdef RowTally* other
    cdef int i
    for i in range(1, threads):
        other = &job.workers[i].tallies[k]
        merge_tallies(&into.tally, &other.tally)
        fl_exact_merge(&into.weights, &other.weights)
        into.n_ignored += other.n_ignored
    return into


cdef void finish(RowJob* job, int threads) noexcept:
    cdef int i, k
    if job.workers == NULL:
        return
    for i in range(threads):
        free(job.workers[i].memory)
        for k in range(job.n_tasks):
            close_labels(&job.workers[i].tallies[k].labels)
    free(job.workers[0].tallies)


cdef int furnish(RowJob* job, RowWorker* me) except -1:
    """A worker's memory: tiles of scores, targets and outputs in the forms that this job has them in."""
    cdef size_t size = sizeof(double) if job.wide else sizeof(float)
    cdef size_t across = ((job.classes + FL_SPARE) * FL_ACROSS * size + 63) // 64 * 64     # of one kernel's samples
    cdef size_t lanes = (((job.step + FL_ACROSS - 1) // FL_ACROSS * job.classes + FL_SPARE) * FL_ACROSS * size + 63) // 64 * 64
    cdef size_t along = (((job.classes * job.step) + FL_SPARE) * size + 63) // 64 * 64
    cdef size_t at = 0, sizes[9]
    cdef void** places[9]
    cdef int i
    cdef Matrix* m
    for i in range(2):
        m = &job.z if i == 0 else &job.y
        sizes[i], places[i] = lanes if m.wanted and (job.lanes or m.class_major) else 0, &me.lanes[i]
        sizes[2 + i], places[2 + i] = along if m.wanted else 0, &me.flat[i]
        m = &job.outputs[i]
        sizes[4 + i], places[4 + i] = (lanes if job.lanes else along) if i == 0 or m.wanted else 0, &me.made[i]
        sizes[6 + i], places[6 + i] = across if job.lanes else 0, &me.kept[i]
    sizes[8], places[8] = lanes if job.lanes or job.outputs[0].class_major or job.outputs[1].class_major else 0, &me.back
    for i in range(9):
        at += sizes[i]
    me.memory = <char*>fl_zeros(at)
    if me.memory == NULL:
        raise MemoryError()
    at = 0
    for i in range(9):
        places[i][0] = me.memory + at
        at += sizes[i]
    return 0


include "rowshort.pxi"
