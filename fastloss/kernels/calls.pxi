# The short way: calls on plain arrays, which do no more before and after the kernels than they must. Whatever is unusual about a call,
# errors included, is left to the general way (engine/run.py) by returning None: that one decides, and finds the words.

from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_Check, PyFloat_CheckExact
from cpython.list cimport PyList_CheckExact
from cpython.long cimport PyLong_AsLongAndOverflow, PyLong_CheckExact
from libc.float cimport FLT_MAX
from libc.math cimport fabs

cdef int CODE_OF[64]        # by NumPy's type number; -1: not ours, or not plain
for number in range(64):
    CODE_OF[number] = -1
for code, name in enumerate(("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", None, "float32", "float64")):
    if name is not None:
        CODE_OF[np.dtype(name).num] = code


cdef enum:
    LONG = 65536            # samples from which an output may be large enough for its memory to be kept (memory.h)


cdef int OUTPUT_SET[8]      # by which of loss (1), gradient (2) and Hessian (4) are computed
OUTPUT_SET[:] = [-1, 0, 1, 2, -1, -1, 3, 4]


cdef struct Numbers:        # where operands lie that were given as Python numbers
    double number[3]
    float single


cdef inline bint plain(object array, fl_array* to) noexcept:
    """Describe a contiguous, aligned, native ndarray of one of our types, of one dimension or more (seen as one)."""
    cdef cnp.ndarray a
    if not cnp.PyArray_CheckExact(array):
        return False
    a = <cnp.ndarray>array
    if cnp.PyArray_NDIM(a) < 1 or not cnp.PyArray_ISCARRAY_RO(a) or not 0 <= cnp.PyArray_TYPE(a) < 64:
        return False
    to.code = CODE_OF[cnp.PyArray_TYPE(a)]
    to.data = <char*>cnp.PyArray_DATA(a)
    to.stride = to.size = <int>cnp.PyArray_ITEMSIZE(a)
    to.swapped = 0
    return to.code >= 0


cdef inline bint numbers_at(fl_array* to, size_t address, bint wide) noexcept:
    """Describe float32 or float64 numbers, contiguous, at an address; False if there are none, or not aligned."""
    to.data, to.code, to.swapped = <char*>address, FL_F64 if wide else FL_F32, 0
    to.stride = to.size = <int>sizeof(double) if wide else <int>sizeof(float)
    return address != 0 and address % <size_t>to.size == 0


cdef inline bint like(object array, object model, fl_array* to) noexcept:
    """Describe a plain array of the model's shape."""
    return plain(array, to) and cnp.PyArray_SAMESHAPE(<cnp.ndarray>array, <cnp.ndarray>model)


cdef inline bint repeated(object value, double* room, fl_array* to):
    """Describe a Python float, or an int that every float type can hold, as an operand that is repeated."""
    cdef int beyond
    cdef long whole
    if PyFloat_CheckExact(value):
        room[0] = PyFloat_AS_DOUBLE(value)
    elif PyLong_CheckExact(value):
        whole = PyLong_AsLongAndOverflow(value, &beyond)
        if beyond or not -(1 << 24) <= whole <= 1 << 24:
            return False
        room[0] = whole
    else:
        return False
    to.data, to.stride, to.size, to.code, to.swapped = <char*>room, 0, sizeof(double), FL_F64, 0
    return True


cdef inline object of_list(object value):
    """A list as the array that it is."""
    if PyList_CheckExact(value):
        try:
            return np.asarray(value)
        except Exception:   # the general way will meet it too
            pass
    return value


cdef bint take(Job* job, Numbers* room, y, p, w):
    """Describe the operands of a job and what it computes in; False if they are not plain. A number takes the float type of p."""
    memset(job, 0, sizeof(Job))
    job.scale, job.n = 1.0, 1
    if plain(p, &job.p):
        job.n = cnp.PyArray_SIZE(<cnp.ndarray>p)
        if not like(y, p, &job.y):
            if job.p.code < FL_F16 or not repeated(y, &room.number[0], &job.y):
                return False
            if job.p.code < FL_F64 and not fabs(room.number[0]) > FLT_MAX:
                room.single = <float>room.number[0]
                job.y.data, job.y.size, job.y.code = <char*>&room.single, sizeof(float), FL_F32
        job.weighted = w is not None
        if job.weighted and not like(w, p, &job.w) and not repeated(w, &room.number[2], &job.w):
            return False
    else:
        job.weighted = w is not None
        if not repeated(p, &room.number[1], &job.p) or not repeated(y, &room.number[0], &job.y):
            return False
        if job.weighted and not repeated(w, &room.number[2], &job.w):
            return False
    job.wide = job.p.code == FL_F64 or job.p.code < FL_F16 or job.y.code == FL_F64
    return job.n > 0


cdef inline bint overlap(fl_array* a, fl_array* b, Py_ssize_t n) noexcept:
    return a.data < b.data + n * b.size and b.data < a.data + n * a.size


cdef object output(Job* job, int which, object given, object p, object empty):
    """The array of an output (0 loss, 1 gradient, 2 Hessian): the caller's, or a new one of the prediction's type, if it is long from
    empty(shape, dtype); None if the caller's is not plain, or shares memory with another array of this call (the general way knows which
    of these may)."""
    cdef fl_array* to = &job.outputs[which]
    cdef int earlier, code = cnp.PyArray_TYPE(<cnp.ndarray>p) if cnp.PyArray_CheckExact(p) and job.p.code >= FL_F16 else cnp.NPY_FLOAT64
    job.wanted[which] = True
    if given is None:
        if job.n >= LONG:
            given = empty(p.shape, cnp.PyArray_DescrFromType(code))
        elif cnp.PyArray_CheckExact(p):
            given = cnp.PyArray_SimpleNew(cnp.PyArray_NDIM(<cnp.ndarray>p), cnp.PyArray_DIMS(<cnp.ndarray>p), code)
        else:
            given = cnp.PyArray_SimpleNew(0, NULL, code)
        to.data = <char*>cnp.PyArray_DATA(<cnp.ndarray>given)
        to.code, to.size = CODE_OF[code], <int>cnp.PyArray_ITEMSIZE(<cnp.ndarray>given)
        to.stride = to.size
    else:
        if not cnp.PyArray_CheckExact(p) or not like(given, p, to) or to.code < FL_F16 or not cnp.PyArray_ISWRITEABLE(<cnp.ndarray>given):
            return None
        if overlap(to, &job.y, job.n) or overlap(to, &job.p, job.n) or (job.weighted and overlap(to, &job.w, job.n)):
            return None
        for earlier in range(which):
            if job.wanted[earlier] and overlap(to, &job.outputs[earlier], job.n):
                return None
    job.direct[which] = to.code == (FL_F64 if job.wide else FL_F32)
    return given


cdef inline object scalar(object array):
    return None if array is None else array[()]


cdef int explicit(object n_threads) except -1:
    """An n_threads that is not None, as engine/threads.py's `choose` takes it; 0 if it is unusual."""
    cdef int beyond
    cdef long count
    if not PyLong_CheckExact(n_threads):
        return 0
    count = PyLong_AsLongAndOverflow(n_threads, &beyond)
    return 0 if beyond or count < 1 else <int>min(count, 256)


cdef inline bint divisible(double divisor) noexcept:
    """Can gradients be divided by it, by a multiplication?"""
    return 1e-290 < divisor < 1e290


cdef inline bint divides(object given, double* divisor):
    """Take a Python number as the divisor, if it is one that can be."""
    cdef int beyond = 0
    if PyFloat_Check(given):
        divisor[0] = PyFloat_AS_DOUBLE(given)
    elif PyLong_CheckExact(given):
        divisor[0] = PyLong_AsLongAndOverflow(given, &beyond)
    else:
        return False
    return not beyond and divisible(divisor[0])


cdef inline void alone(fl_exact* sum, double term) noexcept:
    """Make it the sum of this one number."""
    memset(sum, 0, sizeof(fl_exact))
    fl_exact_add(sum, term)


cdef class Calls:
    """A configured loss as plain arrays meet it. Methods return None for what they leave to the general way.

    narrow, wide    Bound for float32 and float64, or None where the parameters do not allow it
    root            the cost is the square root of the mean, and that is all there is
    most, pays      threads.get_num_threads, asked whenever it matters, and threads.PAYS
    empty           engine/memory.py's
    """
    cdef Bound narrow, wide
    cdef bint root
    cdef object most, empty
    cdef double pays

    def __cinit__(self, Bound narrow, Bound wide, bint root, most, double pays, empty):
        self.narrow, self.wide, self.root, self.most, self.pays, self.empty = narrow, wide, root, most, pays, empty

    def cost(self, y, p, w, n_threads, bint total=False, bint skip_nan=False):
        """The mean, or the total, as a float; NaN are left out or propagate."""
        cdef Job job
        cdef Numbers room
        cdef Worker worker
        cdef Tally tally
        cdef Task task
        p, y, w = of_list(p), of_list(y), of_list(w)
        if self.root and total or not take(&job, &room, y, p, w):
            return None
        job.summed, job.skip_nan = True, skip_nan
        if not self.pass_through(&job, &task, &worker, &tally, 1, n_threads):
            return None
        return mean(&job, &worker, &tally, self.root, total)

    def outputs(self, int parts, y, p, w, loss_out, gradient_out, hessian_out, n_threads):
        """Loss (1), gradient (2), Hessian (4), or a tuple of several: as `parts` says, which is the sum of those numbers."""
        cdef Job job
        cdef Numbers room
        cdef Worker worker
        cdef Tally tally
        cdef Task task
        p, y, w = of_list(p), of_list(y), of_list(w)
        if self.root or not take(&job, &room, y, p, w):
            return None
        if parts & 1 and (loss_out := output(&job, 0, loss_out, p, self.empty)) is None:
            return None
        if parts & 2 and (gradient_out := output(&job, 1, gradient_out, p, self.empty)) is None:
            return None
        if parts & 4 and (hessian_out := output(&job, 2, hessian_out, p, self.empty)) is None:
            return None
        if not self.pass_through(&job, &task, &worker, &tally, parts, n_threads):
            return None
        if not cnp.PyArray_CheckExact(p):       # of numbers come numbers
            loss_out, gradient_out, hessian_out = scalar(loss_out), scalar(gradient_out), scalar(hessian_out)
        if parts == 1:
            return loss_out
        if parts == 2:
            return gradient_out
        if parts == 3:
            return loss_out, gradient_out
        return (gradient_out, hessian_out) if parts == 6 else (loss_out, gradient_out, hessian_out)

    def cost_gradient(self, y, p, w, gradient_out, n_threads, given=None):
        """(mean, its gradient). With weights the derivatives have to wait for the sum of these: a pass over the weights comes first;
        unless it is given the number that both are divided by."""
        cdef Job job
        cdef Numbers room
        cdef Worker worker
        cdef Tally tally
        cdef Task task
        cdef double divisor
        cdef int exact
        cdef bint wide
        cdef fl_fp_state environment
        p, y, w = of_list(p), of_list(y), of_list(w)
        if self.root or not cnp.PyArray_CheckExact(p) or not take(&job, &room, y, p, w):
            return None
        divisor = <double>job.n
        if given is not None and not divides(given, &divisor):
            return None
        gradient_out = output(&job, 1, gradient_out, p, self.empty)
        if gradient_out is None:
            return None
        if job.weighted and given is None:
            job.wanted[1], wide, job.wide = False, job.wide, True
            if not self.pass_through(&job, &task, &worker, &tally, 0, n_threads):
                return None
            divisor = fl_exact_mean(&worker.weights, 1, &exact)
            if not exact or not divisible(divisor):
                return None
            job.wanted[1], job.wide = True, wide
        environment = fl_fp_enter()     # kernels set it for themselves, but this quotient is rounded here
        job.scale, job.summed = 1.0 / divisor, True
        fl_fp_leave(environment)
        if not self.pass_through(&job, &task, &worker, &tally, 3, n_threads):
            return None
        job.weighted |= given is not None
        if given is not None:
            alone(&worker.weights, divisor)
        cost = mean(&job, &worker, &tally, self.root, False)
        return None if cost is None else (cost, gradient_out)

    def at(self, size_t y, size_t p, Py_ssize_t n, bint wide, size_t gradient):
        """The mean of n float32 (or, wide, float64) numbers at these addresses, contiguous and aligned; its gradient is written to its
        address, if that is not 0. For libraries in which an array takes longer to make than to be computed of."""
        cdef Job job
        cdef Worker worker
        cdef Tally tally
        cdef Task task
        cdef fl_fp_state environment
        memset(&job, 0, sizeof(Job))
        if self.root or n < 1 or not (numbers_at(&job.y, y, wide) and numbers_at(&job.p, p, wide)):
            return None
        job.scale, job.n, job.wide, job.summed = 1.0, n, wide, True
        if gradient:
            if not numbers_at(&job.outputs[1], gradient, wide):
                return None
            job.wanted[1] = job.direct[1] = True
            environment = fl_fp_enter()
            job.scale = 1.0 / <double>n
            fl_fp_leave(environment)
        if not self.pass_through(&job, &task, &worker, &tally, 3 if gradient else 1, None):
            return None
        return mean(&job, &worker, &tally, self.root, False)

    cdef bint pass_through(self, Job* job, Task* task, Worker* worker, Tally* tally, int parts, n_threads) except -1:
        """One pass over the data, which computes `parts` as in `outputs` (0: weights alone are summed); False if it met an error."""
        cdef Bound bound = self.wide if job.wide else self.narrow
        cdef int threads = 1
        cdef double nanoseconds
        if bound is None:
            return False
        if n_threads is not None:
            threads = explicit(n_threads)
            if threads == 0:
                return False
        elif job.n > SHORT:
            nanoseconds = 0.5 * job.n
            if parts:
                nanoseconds = job.n * bound.nanoseconds(
                    OUTPUT_SET[parts], job.summed, job.weighted, job.wanted[0] + job.wanted[1] + job.wanted[2]
                )
            threads = self.pay(nanoseconds)
        memset(worker, 0, sizeof(Worker))
        memset(tally, 0, sizeof(Tally))
        worker.tallies, job.tasks, job.n_tasks = tally, task, parts != 0
        if parts:
            task[0] = bound.task
            task.kernel = bound.kernel(OUTPUT_SET[parts])
        launch(job, worker, threads)
        return not job.failed

    cdef int pay(self, double nanoseconds) except -1:
        """The number of threads for so much work: engine/threads.py's `choose`."""
        return <int>max(1.0, min(<double>self.most(), nanoseconds / self.pays))


def run_plain(list calls, y, p, w, bint skip_nan, n_threads, bint means):
    """Many losses over plain arrays in one pass: (n, weights, tallies) with these as `run` returns them; or, if that is what is wanted,
    the means (not their roots). None as in Calls."""
    cdef Job job
    cdef Numbers room
    cdef Calls first = calls[0]
    cdef Calls one
    cdef double nanoseconds = 0.0
    cdef list bounds = []
    cdef int threads
    threads = 1 if n_threads is None else explicit(n_threads)
    p, y, w = of_list(p), of_list(y), of_list(w)
    if threads == 0 or not take(&job, &room, y, p, w):
        return None
    for one in calls:
        bound = one.wide if job.wide else one.narrow
        if bound is None:
            return None
        bounds.append(bound)
        if n_threads is None and job.n > SHORT:
            nanoseconds += (<Bound>bound).nanoseconds(0, True, job.weighted, 0)
    if n_threads is None and job.n > SHORT:
        threads = first.pay(job.n * nanoseconds)
    job.summed, job.skip_nan = True, skip_nan
    found = run_job(&job, bounds, 0, threads, means)
    if means:
        return None if found is None or None in found else found
    error, weights, tallies = found
    return None if error is not None else (job.n, weights, tallies)
