# The short way of rows, as calls.pxi is that of single predictions: C-ordered arrays of native numbers, one loss. All that is unusual,
# errors included, is left to the general way (engine/rows.py) by returning None.

cdef enum:
    CLASSES_MOST = 1 << 20  # of which furnishing the workers is not what a call is short of

cdef struct RowsFound:      # what a pass added up to
    Tally tally
    Worker worker           # its weights alone
    Py_ssize_t n_ignored


cdef inline bint of_rows(object array, object scores, fl_array* to) noexcept:
    """Describe a plain array with one number per row of the scores."""
    cdef cnp.ndarray a, z = <cnp.ndarray>scores
    cdef int i
    if not plain(array, to):
        return False
    a = <cnp.ndarray>array
    if cnp.PyArray_NDIM(a) != cnp.PyArray_NDIM(z) - 1:
        return False
    for i in range(cnp.PyArray_NDIM(a)):
        if cnp.PyArray_DIM(a, i) != cnp.PyArray_DIM(z, i):
            return False
    return True


cdef inline void as_matrix(Matrix* to, const fl_array* a, Py_ssize_t classes) noexcept:
    to.rows, to.stride, to.wanted = a[0], classes * a.size, True


cdef inline bint meets(const fl_array* a, Py_ssize_t size_a, const fl_array* b, Py_ssize_t size_b) noexcept:
    """Do arrays of so many numbers share memory?"""
    return a.data < b.data + size_b * b.size and b.data < a.data + size_a * a.size


cdef class RowCalls:
    """A configured loss of rows as plain arrays meet it. Methods, arguments and results are those of Calls.

    narrow, wide  RowBound for float32 and float64, or None where the parameters do not allow it
    labels        targets are labels; weights: how many class weights there are, or 0
    parts         what the loss has: 1, with a gradient 3, with a Hessian too 7
    most, pays, empty  as those of Calls
    """
    cdef RowBound narrow, wide
    cdef bint labels
    cdef int parts
    cdef Py_ssize_t weights
    cdef object most, empty
    cdef double pays, each      # ns that a score takes

    def __cinit__(self, RowBound narrow, RowBound wide, bint labels, Py_ssize_t weights, int parts, double each, most, double pays, empty):
        self.narrow, self.wide, self.labels, self.weights = narrow, wide, labels, weights
        self.parts, self.each, self.most, self.pays, self.empty = parts, each, most, pays, empty

    def cost(self, y, p, w, n_threads, bint total=False, bint skip_nan=False):
        cdef RowJob job
        cdef RowsFound found
        if not self.take(&job, y, p, w):
            return None
        job.summed, job.skip_nan = True, skip_nan
        if not self.pass_through(&job, 1, n_threads, &found):
            return None
        return self.mean_of(&job, &found, total)

    def outputs(self, int parts, y, p, w, loss_out, gradient_out, hessian_out, n_threads):
        cdef RowJob job
        cdef RowsFound found
        if not self.take(&job, y, p, w):
            return None
        if parts & 1 and (loss_out := self.fresh(&job, &job.loss, 1, loss_out, p)) is None:
            return None
        job.loss_wanted = parts & 1
        if parts & 2 and (gradient_out := self.matrix_out(&job, 0, gradient_out, p)) is None:
            return None
        if parts & 4 and (hessian_out := self.matrix_out(&job, 1, hessian_out, p)) is None:
            return None
        if not apart(&job) or not self.pass_through(&job, parts, n_threads, &found):
            return None
        if parts == 1:
            return loss_out
        if parts == 2:
            return gradient_out
        if parts == 3:
            return loss_out, gradient_out
        return (gradient_out, hessian_out) if parts == 6 else (loss_out, gradient_out, hessian_out)

    def cost_gradient(self, y, p, w, gradient_out, n_threads, given=None):
        cdef RowJob job
        cdef RowsFound found
        cdef double divisor = 1.0
        cdef fl_fp_state environment
        if not self.take(&job, y, p, w):
            return None
        job.summed = True
        if given is not None and not divides(given, &divisor):
            return None
        if given is None and not self.divide_by_weights(&job, &found, n_threads):
            return None
        gradient_out = self.matrix_out(&job, 0, gradient_out, p)
        if gradient_out is None or not apart(&job):
            return None
        if given is not None:
            environment = fl_fp_enter()
            job.scale = 1.0 / divisor
            fl_fp_leave(environment)
        if not self.pass_through(&job, 3, n_threads, &found):
            return None
        if given is not None:
            alone(&found.worker.weights, divisor)
        cost = self.mean_of(&job, &found, False, given is not None)
        return None if cost is None else (cost, gradient_out)

    def at(self, size_t y, size_t p, Py_ssize_t n, bint wide, size_t gradient, Py_ssize_t classes):
        """As Calls.at, of n rows of so many classes; labels are int64."""
        cdef RowJob job
        cdef RowsFound found
        cdef fl_array a
        memset(&job, 0, sizeof(RowJob))
        job.n, job.classes, job.wide, job.n_tasks, job.scale, job.summed = n, classes, wide, 1, 1.0, True
        if n < 1 or not self.serves(&job) or not numbers_at(&a, p, wide):
            return None
        as_matrix(&job.z, &a, classes)
        if self.labels:
            if y == 0 or y % sizeof(int64_t):
                return None
            job.labels, job.label.data, job.label.code = True, <char*>y, FL_I64
            job.label.stride = job.label.size = sizeof(int64_t)
        elif numbers_at(&a, y, wide):
            as_matrix(&job.y, &a, classes)
        else:
            return None
        if gradient:
            if not self.parts & 2 or not numbers_at(&a, gradient, wide) or not self.divide_by_weights(&job, &found):
                return None
            as_matrix(&job.outputs[0], &a, classes)
        if not self.pass_through(&job, 3 if gradient else 1, None, &found):
            return None
        return self.mean_of(&job, &found, False)

    cdef bint serves(self, const RowJob* job) noexcept:
        """Are there kernels for the classes and the dtype of a job?"""
        if not 2 <= job.classes <= CLASSES_MOST or (self.weights and self.weights != job.classes):
            return False
        return (self.wide if job.wide else self.narrow) is not None

    cdef bint divide_by_weights(self, RowJob* job, RowsFound* found, n_threads=None) except -1:
        """Let derivatives be those of the mean. Where rows weigh differently, or some are ignored, that takes a pass over weights and
        labels; False if it met an error, or there is nothing to divide by."""
        cdef double divisor = <double>job.n
        cdef int exact = 1
        cdef fl_fp_state environment
        if self.weighs(job) or (self.labels and (self.wide if job.wide else self.narrow).task.ignores):
            if not self.pass_through(job, 0, n_threads, found):
                return False
            divisor = <double>(job.n - found.n_ignored)
            if self.weighs(job):
                divisor = fl_exact_mean(&found.worker.weights, 1, &exact)
            if not exact or not divisible(divisor):
                return False
        environment = fl_fp_enter()     # kernels set it for themselves, but this quotient is rounded here
        job.scale = 1.0 / divisor
        fl_fp_leave(environment)
        return True

    cdef bint take(self, RowJob* job, y, p, w):
        """Describe the operands of a job and what it computes in; False if they are not plain."""
        cdef fl_array a
        cdef cnp.ndarray z
        memset(job, 0, sizeof(RowJob))
        if not plain(p, &a):
            return False
        z = <cnp.ndarray>p
        if cnp.PyArray_NDIM(z) < 2:
            return False
        job.classes = cnp.PyArray_DIM(z, cnp.PyArray_NDIM(z) - 1)
        if job.classes < 2:
            return False
        job.n, job.scale, job.n_tasks = cnp.PyArray_SIZE(z) // job.classes, 1.0, 1
        as_matrix(&job.z, &a, job.classes)
        job.wide = a.code == FL_F64 or a.code < FL_F16
        if self.labels:
            # of uint64 what int64 has not is the general way's to tell from an ignored -1
            if not of_rows(y, p, &job.label) or job.label.code >= FL_F16 or cnp.PyArray_TYPE(<cnp.ndarray>y) == cnp.NPY_UINT64:
                return False
            job.labels = True
        else:
            if not like(y, p, &a):
                return False
            as_matrix(&job.y, &a, job.classes)
            job.wide |= a.code == FL_F64
        if w is not None:
            if not of_rows(w, p, &job.w):
                return False
            job.weighted = True
        return self.serves(job) and job.n > 0

    cdef object fresh(self, RowJob* job, fl_array* to, int fewer, given, p):
        """The array of an output, the caller's or a new one, with the axes of p but for the last ``fewer``; None if it is not plain."""
        cdef cnp.ndarray z = <cnp.ndarray>p
        cdef int axes = cnp.PyArray_NDIM(z) - fewer, code = cnp.PyArray_TYPE(z) if job.z.rows.code >= FL_F16 else cnp.NPY_FLOAT64
        if given is None:
            if job.n * job.classes >= LONG:
                given = self.empty(p.shape[:axes], cnp.PyArray_DescrFromType(code))
            else:
                given = cnp.PyArray_SimpleNew(axes, cnp.PyArray_DIMS(z), code)
            plain(given, to)
            return given
        if not (of_rows(given, p, to) if fewer else like(given, p, to)):
            return None
        return given if to.code >= FL_F16 and cnp.PyArray_ISWRITEABLE(<cnp.ndarray>given) else None

    cdef object matrix_out(self, RowJob* job, int o, given, p):
        cdef fl_array a
        if not self.parts & (2 << o):
            return None
        given = self.fresh(job, &a, 0, given, p)
        if given is not None:
            as_matrix(&job.outputs[o], &a, job.classes)
        return given

    cdef bint pass_through(self, RowJob* job, int parts, n_threads, RowsFound* found) except -1:
        """One pass over the data, which computes `parts` as in `outputs` (0: weights alone are summed); False if it met an error."""
        cdef RowTask task
        cdef RowTally* sums
        cdef list keep = []
        cdef int threads = 1
        cdef double nanoseconds
        if n_threads is not None:
            threads = explicit(n_threads)
            if threads == 0:
                return False
        else:
            nanoseconds = self.each * <double>job.n * <double>job.classes * (2 if parts & 2 else 1)
            if nanoseconds >= 2.0 * self.pays:
                threads = <int>max(1.0, min(<double>self.most(), nanoseconds / self.pays))
        job.tasks, job.workers, job.next, job.company = &task, NULL, 0, 0
        threads = divide(job, threads)
        set_task(job, 0, self.wide if job.wide else self.narrow, -1 if parts == 0 else 2 if parts & 4 else 1 if parts & 2 else 0, keep)
        try:
            begin(job, threads)
            launch_rows(job, threads)
            if job.failed:
                return False
            if job.summed:
                sums = merged(job, 0, threads)
                found.tally, found.worker.weights, found.n_ignored = sums.tally, sums.weights, sums.n_ignored
            return True
        finally:
            finish(job, threads)

    cdef inline bint weighs(self, const RowJob* job) noexcept:
        """Do rows weigh differently?"""
        return job.weighted or (self.weights > 0 and self.labels)

    cdef object mean_of(self, RowJob* job, RowsFound* found, bint total, bint given=False):
        """`mean`, of the rows that are not ignored, or over the weight given."""
        cdef Job counted
        memset(&counted, 0, sizeof(Job))
        counted.n, counted.skip_nan, counted.weighted = job.n - found.n_ignored, job.skip_nan, given or self.weighs(job)
        return mean(&counted, &found.worker, &found.tally, False, total) if counted.n else None


cdef bint apart(const RowJob* job) noexcept:
    """Does no output share memory with another array of the call? (Scores that make room for the gradient are the general way's.)"""
    cdef const fl_array* all[7]
    cdef Py_ssize_t sizes[7], whole = job.n * job.classes
    cdef int i, j, k, count = 0
    for i in range(2):
        if job.outputs[i].wanted:
            all[count], sizes[count] = &job.outputs[i].rows, whole
            count += 1
    if job.loss_wanted:
        all[count], sizes[count] = &job.loss, job.n
        count += 1
    k = count
    all[count], sizes[count] = &job.z.rows, whole
    count += 1
    if job.labels:
        all[count], sizes[count] = &job.label, job.n
    else:
        all[count], sizes[count] = &job.y.rows, whole
    count += 1
    if job.weighted:
        all[count], sizes[count] = &job.w, job.n
        count += 1
    for i in range(k):
        for j in range(i + 1, count):
            if meets(all[i], sizes[i], all[j], sizes[j]):
                return False
    return True
