# Exact sums by group: per-sample losses, each added to the sums of the group that its code names. Included after rowlabels.pxi, whose
# sums it keeps from call to call. And where those codes come from: a table of integers' codes.

from libc.stdint cimport int8_t, int16_t, int32_t, uint8_t, uint16_t, uint32_t

cdef extern from "groups.h" nogil:
    enum: FL_HELD
    enum: FL_PIECE
    ctypedef struct fl_fixed:
        int64_t* high
        int64_t* low
        int unit
        int used
        int left
        double step
        double least
    int fl_top(const double*, Py_ssize_t) noexcept
    void fl_fixed_set(fl_fixed*, int) noexcept
    int fl_cut(const double*, Py_ssize_t, double, int64_t*, double*) noexcept
    void fl_pass_on(int64_t, int, fl_exact*) noexcept

cdef enum:
    FL_SLICE = 45
    GROUP_SLAB = 1 << 14
    GROUP_MEMORY = 1 << 26      # of threads' sums; that much, or one thread's
    FEW = 1 << 15               # groups, that are worth passing on every FL_HELD rows

cdef struct Held:               # a thread's rows that have not been passed on
    fl_fixed terms
    fl_fixed weights
    Py_ssize_t* rows            # of each group; NULL: there are too many groups, and nothing is held
    Py_ssize_t n

cdef struct GroupJob:
    Py_ssize_t n
    Py_ssize_t next
    Py_ssize_t size             # of the sums
    Py_ssize_t known            # codes are below it
    const void* losses
    const double* weights       # of the losses; NULL: ones
    const double* divisor       # what a row counts for where a mean is divided; NULL: one
    const Py_ssize_t* codes
    const Py_ssize_t* ids       # the groups of the codes
    bint wide
    bint skip_nan
    bint astray                 # a code was none
    LabelSums* sums             # of each thread
    Held* held


cdef int open_held(Held* held, Py_ssize_t size, bint weighted) except -1:
    if size > FEW:
        return 0
    held.rows = <Py_ssize_t*>calloc((5 if weighted else 3) * size, 8)
    if held.rows == NULL:
        raise MemoryError()
    held.terms.high = <int64_t*>held.rows + size
    held.terms.low = held.terms.high + size
    if weighted:
        held.weights.high, held.weights.low = held.terms.low + size, held.terms.low + 2 * size
    return 0


cdef void pass_on(fl_fixed* fixed, fl_exact* sums, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t i
    if fixed.used:
        for i in range(size):
            if fixed.high[i]:
                fl_pass_on(fixed.high[i], fixed.unit, &sums[i])
                fixed.high[i] = 0
    if fixed.left:
        for i in range(size):
            if fixed.low[i]:
                fl_pass_on(fixed.low[i], fixed.unit - FL_SLICE, &sums[i])
                fixed.low[i] = 0
    fixed.used = fixed.left = 0


cdef void pass_all_on(Held* held, LabelSums* sums, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t i
    if held.n:
        pass_on(&held.terms, sums.totals, size)
        pass_on(&held.weights, sums.weights, size)
        for i in range(size):
            sums.counts[i].rows += held.rows[i]
            held.rows[i] = 0
        held.n = 0


cdef void hold(fl_fixed* fixed, fl_exact* sums, const double* x, int top, const Py_ssize_t* groups, Py_ssize_t n, Py_ssize_t size) noexcept nogil:
    """Add numbers below 2**top to the sums of groups."""
    cdef int64_t multiples[FL_PIECE]
    cdef double left[FL_PIECE], rest[FL_PIECE]
    cdef Py_ssize_t i
    cdef bint more
    if not fixed.used or top > fixed.unit + FL_SLICE:
        pass_on(fixed, sums, size)
        fl_fixed_set(fixed, top + 1)        # that the next piece has one twice as large is likely
        fixed.used = True
    more = fl_cut(x, n, fixed.step, multiples, left)
    for i in range(n):
        fixed.high[groups[i]] += multiples[i]
    if more:
        more = fl_cut(left, n, fixed.least, multiples, rest)
        for i in range(n):
            fixed.low[groups[i]] += multiples[i]
        fixed.left = True
        if more:
            for i in range(n):
                if rest[i] != 0.0:
                    fl_exact_add(&sums[groups[i]], rest[i])


cdef bint add_piece(real kind, GroupJob* job, LabelSums* sums, Held* held, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
    """Up to FL_PIECE rows. Whether all codes are known."""
    cdef const real* losses = <const real*>job.losses + start
    cdef const Py_ssize_t* codes = job.codes + start
    cdef const double* weights = job.weights + start if job.weights != NULL else NULL
    cdef const double* divisor = job.divisor + start if job.divisor != NULL else NULL
    cdef Py_ssize_t groups[FL_PIECE]
    cdef double terms[FL_PIECE]
    cdef Py_ssize_t i
    cdef size_t worst = 0
    cdef int top, whole = -2000
    for i in range(n):
        worst = max(worst, <size_t>codes[i])
    if worst >= <size_t>job.known:
        return False
    for i in range(n):
        groups[i] = job.ids[codes[i]]
    for i in range(n):
        terms[i] = losses[i] * weights[i] if weights != NULL else losses[i]
    top = fl_top(terms, n)
    if divisor != NULL:
        whole = fl_top(divisor, n)
    if held.rows == NULL or top == 1024 or whole == 1024:
        for i in range(n):
            add_label(sums, groups[i], terms[i], &divisor[i] if divisor != NULL else NULL, job.skip_nan)
        return True
    hold(&held.terms, sums.totals, terms, top, groups, n, job.size)
    if divisor != NULL:
        hold(&held.weights, sums.weights, divisor, whole, groups, n, job.size)
    for i in range(n):
        held.rows[groups[i]] += 1
    held.n += n
    if held.n > FL_HELD - FL_PIECE:
        pass_all_on(held, sums, job.size)
    return True


cdef void group_work(void* data, int worker) noexcept nogil:
    cdef GroupJob* job = <GroupJob*>data
    cdef LabelSums* sums = &job.sums[worker]
    cdef Held* held = &job.held[worker]
    cdef fl_fp_state environment = fl_fp_enter()
    cdef Py_ssize_t start, stop, n
    while not job.astray:
        start = fl_take(&job.next, GROUP_SLAB)
        if start >= job.n:
            break
        stop = min(start + GROUP_SLAB, job.n)
        while start < stop:
            n = min(<Py_ssize_t>FL_PIECE, stop - start)
            if not (add_piece[double](0.0, job, sums, held, start, n) if job.wide else add_piece[float](0.0, job, sums, held, start, n)):
                job.astray = True
            start += n
    fl_fp_leave(environment)


cdef class Groups:
    """What rows add up to by group 0, 1, ...: ``add`` what there is, then ``take``."""
    cdef LabelSums* sums
    cdef Held* held
    cdef Py_ssize_t size
    cdef int threads
    cdef bint skip_nan
    cdef bint weighted

    def __cinit__(self, bint skip_nan):
        self.skip_nan = skip_nan

    def __dealloc__(self):
        self.forget()

    cdef void forget(self) noexcept:
        cdef int i
        for i in range(self.threads):
            close_labels(&self.sums[i])
            free(self.held[i].rows)
        free(self.sums)
        free(self.held)
        self.sums, self.held, self.threads, self.size = NULL, NULL, 0, 0

    cdef int open(self, int threads, Py_ssize_t size) except -1:
        cdef int i
        self.forget()
        self.sums = <LabelSums*>calloc(threads, sizeof(LabelSums))
        self.held = <Held*>calloc(threads, sizeof(Held))
        if self.sums == NULL or self.held == NULL:
            free(self.sums)
            free(self.held)
            raise MemoryError()
        self.threads, self.size = threads, size
        for i in range(threads):
            open_labels(&self.sums[i], size)
            open_held(&self.held[i], size, self.weighted)
        return 0

    def room(self, Py_ssize_t size):
        """Whether groups below ``size`` have a place; else all must be taken, and the next ``add`` makes it."""
        return size <= self.size or not self.threads

    def add(self, cnp.ndarray losses, weights, divisor, cnp.ndarray codes, cnp.ndarray ids, Py_ssize_t size, int threads):
        """Add rows: losses (float32 or float64) times weights (float64 or None for ones) to the groups ids[codes] (both intp), below
        ``size``; divisor: float64, or None for ones, always or never. Arrays are contiguous, and of one length but for ids."""
        cdef GroupJob job
        memset(&job, 0, sizeof(GroupJob))
        job.n, job.known, job.skip_nan = losses.size, ids.size, self.skip_nan
        job.wide = cnp.PyArray_TYPE(losses) == cnp.NPY_FLOAT64
        job.losses = cnp.PyArray_DATA(losses)
        job.codes, job.ids = <const Py_ssize_t*>cnp.PyArray_DATA(codes), <const Py_ssize_t*>cnp.PyArray_DATA(ids)
        if weights is not None:
            job.weights = <const double*>cnp.PyArray_DATA(<cnp.ndarray>weights)
        if divisor is not None:
            job.divisor = <const double*>cnp.PyArray_DATA(<cnp.ndarray>divisor)
            self.weighted = True
        if not self.threads:
            threads = <int>min(threads, max(1, GROUP_MEMORY // (size * (2 * sizeof(fl_exact) + sizeof(LabelCounts)))))
            self.open(threads, size)
        job.sums, job.held, job.size = self.sums, self.held, self.size
        with nogil:
            fl_pool_run(group_work, &job, self.threads)
        if job.astray:
            raise IndexError(f"codes must be from 0 to {job.known - 1}")

    def take(self):
        """{group: (total, n_nan, n_positive, n_negative, weights or None, rows)} of the groups that occurred since it was last asked,
        sums as integers in units of 2**-1088."""
        for i in range(self.threads):
            pass_all_on(&self.held[i], &self.sums[i], self.size)
        found = labels_object([(<size_t>&self.sums[i], self.size) for i in range(self.threads)], self.weighted)
        self.forget()
        return found


ctypedef fused integer:
    int8_t
    int16_t
    int32_t
    uint8_t
    uint16_t
    uint32_t
    uint64_t

cdef struct LookJob:
    Py_ssize_t n
    Py_ssize_t next
    void* values
    uint64_t base
    uint64_t size               # of the table
    const Py_ssize_t* table
    Py_ssize_t* codes
    int width                   # bytes of a value
    bint signed
    bint lost                   # of some there is no code


cdef void look_slab(integer* values, LookJob* job, Py_ssize_t start, Py_ssize_t stop) noexcept nogil:
    cdef Py_ssize_t i, code, lowest = 0
    cdef uint64_t place
    for i in range(start, stop):
        place = <uint64_t>values[i] - job.base      # modulo 2**64: what is below the base is far above the table
        code = job.table[place] if place < job.size else -1
        job.codes[i] = code
        lowest = min(lowest, code)
    if lowest < 0:
        job.lost = True


cdef void look_some(LookJob* job, Py_ssize_t start, Py_ssize_t stop) noexcept nogil:
    if job.width == 1:
        if job.signed:
            look_slab(<int8_t*>job.values, job, start, stop)
        else:
            look_slab(<uint8_t*>job.values, job, start, stop)
    elif job.width == 2:
        if job.signed:
            look_slab(<int16_t*>job.values, job, start, stop)
        else:
            look_slab(<uint16_t*>job.values, job, start, stop)
    elif job.width == 4:
        if job.signed:
            look_slab(<int32_t*>job.values, job, start, stop)
        else:
            look_slab(<uint32_t*>job.values, job, start, stop)
    else:
        look_slab(<uint64_t*>job.values, job, start, stop)      # of signed ones the same, modulo 2**64


cdef void look_work(void* data, int worker) noexcept nogil:
    cdef LookJob* job = <LookJob*>data
    cdef Py_ssize_t start
    while True:
        start = fl_take(&job.next, GROUP_SLAB)
        if start >= job.n:
            break
        look_some(job, start, min(start + GROUP_SLAB, job.n))



def look_up(cnp.ndarray values, base, cnp.ndarray table, cnp.ndarray codes, int threads):
    """codes[i] = table[values[i] - base], -1 beyond the table. Whether one is below 0. values: integers; table, codes: intp, all contiguous."""
    cdef LookJob job
    memset(&job, 0, sizeof(LookJob))
    job.n, job.size, job.base = values.size, table.size, base % 2**64
    job.width, job.signed = <int>cnp.PyArray_ITEMSIZE(values), cnp.PyTypeNum_ISSIGNED(cnp.PyArray_TYPE(values))
    job.values, job.table = cnp.PyArray_DATA(values), <const Py_ssize_t*>cnp.PyArray_DATA(table)
    job.codes = <Py_ssize_t*>cnp.PyArray_DATA(codes)
    with nogil:
        fl_pool_run(look_work, &job, threads)
    return job.lost
