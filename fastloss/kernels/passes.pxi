# Passes over a stretch of samples, tile by tile, and the work of a thread: stretch after stretch. Part of driver.pxi.

cdef enum:
    FAR = 1 << 16           # samples above which data is not taken to be in cache already


cdef inline bint in_place(real tag, const fl_array* a) noexcept nogil:
    """Can kernels read the user's memory itself?"""
    cdef int code = FL_F64
    if real is float:
        code = FL_F32
    return a.code == code and a.stride == sizeof(real) and not a.swapped and <size_t>a.data % sizeof(real) == 0


cdef void sum_range(real tag, Job* job, Worker* me, Py_ssize_t start, Py_ssize_t stop) noexcept nogil:
    """What run_range does, for the cost of one loss without weights. It has few branches from one tile to the next, so the
    processor works ahead: while one tile is summed the memory of those to come is on its way."""
    cdef fl_room room
    cdef real* loss = <real*>room.outputs[0]
    cdef Task* task = job.tasks
    cdef Tally* tally = me.tallies
    cdef const real* y
    cdef const real* p
    cdef bint special, far = job.n > FAR, direct = in_place[real](tag, &job.y) and in_place[real](tag, &job.p)
    cdef Py_ssize_t at = start, n
    n = FL_TILE - <Py_ssize_t>((<size_t>(job.p.data + at * job.p.stride)) % 64 // sizeof(real))
    while at < stop:
        n = min(stop - at, n)
        if far:
            fl_ask(&job.y, at, n)
            fl_ask(&job.p, at, n)
            if task.target.kind == ANYTHING:     # else the check reads them first
                fl_touch(&job.y, at, n)
        if direct:
            y = <const real*>job.y.data + at
            p = <const real*>job.p.data + at
        elif real is float:
            y = fl_load_f32(&job.y, at, n, <float*>room.y)
            p = fl_load_f32(&job.p, at, n, <float*>room.p)
        else:
            y = fl_load_f64(&job.y, at, n, room.y)
            p = fl_load_f64(&job.p, at, n, room.p)
        if violates[real](tag, &task.target, y, n) or violates[real](tag, &task.prediction, p, n):
            refuse[real](tag, me, job, y, y, p, NULL, n, at)
            return
        if real is float:
            (<kernel_f32>task.kernel)(y, p, task.parameters, loss, NULL, NULL, n)
            special = fl_sum_add_f32(&tally.lanes, &tally.total, loss, n)
        else:
            (<kernel_f64>task.kernel)(y, p, task.parameters, loss, NULL, NULL, n)
            special = fl_sum_add_f64(&tally.lanes, &tally.total, loss, n)
        if special:
            add_one_by_one[real](tag, tally, loss, NULL, n, at, job.skip_nan)
        at += n
        n = FL_TILE
    fl_sum_close(&tally.lanes, &tally.total)


cdef void run_range(real tag, Job* job, Worker* me, Py_ssize_t start, Py_ssize_t stop) noexcept nogil:
    """All losses over samples start <= i < stop, tile by tile: what follows the first load happens in L1. Ends at the first tile that
    holds a bad value, of which nothing is stored: outputs may lie over inputs, and what was wrong with these is still to be told."""
    cdef fl_room room
    cdef real* sign = <real*>room.sign
    cdef real* to[3]
    cdef const real* y
    cdef const real* p
    cdef const real* signed_y
    cdef const real* target
    cdef const double* w = NULL
    cdef Check weights
    cdef Task* task
    cdef Py_ssize_t at, n, i
    cdef int k, o
    cdef bint far = job.n > FAR
    if job.n_tasks == 1 and job.summed and not (job.weighted or job.wanted[0] or job.wanted[1] or job.wanted[2]):
        if job.y.code != FL_BOOL:
            sum_range[real](tag, job, me, start, stop)
            return
    weights.kind, weights.low, weights.high = INTERVAL, 0.0, 1.7976931348623157e308
    at = start
    # A first tile cut short makes all others begin on a cache line (large NumPy arrays begin 16 bytes after one)
    n = FL_TILE - <Py_ssize_t>((<size_t>(job.p.data + at * job.p.stride)) % 64 // sizeof(real))
    while at < stop:
        n = min(stop - at, n)
        if far:
            fl_ask(&job.y, at, n)
            fl_ask(&job.p, at, n)
            if job.n_tasks and job.tasks.target.kind == ANYTHING:
                fl_touch(&job.y, at, n)
            if job.weighted:
                fl_ask(&job.w, at, n)
        if real is float:
            y = fl_load_f32(&job.y, at, n, <float*>room.y)
            p = fl_load_f32(&job.p, at, n, <float*>room.p)
        else:
            y = fl_load_f64(&job.y, at, n, room.y)
            p = fl_load_f64(&job.p, at, n, room.p)
        signed_y = y
        if job.y.code == FL_BOOL:
            signed_y = sign
            for i in range(n):
                sign[i] = y[i] + y[i] - <real>1.0
        if job.weighted:
            w = fl_load_f64(&job.w, at, n, room.w)
            if violates[double](0.0, &weights, w, n) or fl_sum_add_f64(&me.weight_lanes, &me.weights, w, n):
                refuse[real](tag, me, job, y, signed_y, p, w, n, at)
                return
        for k in range(job.n_tasks):
            task = &job.tasks[k]
            target = signed_y if task.signed_labels else y
            if violates[real](tag, &task.target, target, n) or violates[real](tag, &task.prediction, p, n):
                refuse[real](tag, me, job, y, signed_y, p, w, n, at)
                return
            for o in range(3):
                to[o] = <real*>room.outputs[o]
                if job.direct[o]:
                    to[o] = <real*>(job.outputs[o].data + at * job.outputs[o].stride)
            if real is float:
                (<kernel_f32>task.kernel)(target, p, task.parameters, to[0], to[1], to[2], n)
            else:
                (<kernel_f64>task.kernel)(target, p, task.parameters, to[0], to[1], to[2], n)
            if job.summed:
                add_tile[real](tag, &me.tallies[k], to[0], w, room.terms, n, at, job.skip_nan)
            for o in range(3):
                if job.wanted[o]:
                    weigh[real](tag, to[o], w, job.scale, n)
            for o in range(3):      # only now: an output may be the very memory that w is read from
                if job.wanted[o] and not job.direct[o]:
                    if real is float:
                        fl_store_f32(to[o], &job.outputs[o], at, n)
                    else:
                        fl_store_f64(to[o], &job.outputs[o], at, n)
        at += n
        n = FL_TILE
    if job.weighted:
        fl_sum_close(&me.weight_lanes, &me.weights)
    if job.summed:
        for k in range(job.n_tasks):
            fl_sum_close(&me.tallies[k].lanes, &me.tallies[k].total)


cdef extern from "Python.h" nogil:
    int PyErr_CheckSignals() noexcept

cdef extern from *:
    """
    static inline int fl_raise_pending(void) { return PyErr_Occurred() ? -1 : 0; }
    static inline void fl_forked_within(void) {
        PyErr_SetString(PyExc_RuntimeError, "a signal handler forked this process within a call of fastloss that ran on several "
                                            "threads; the child has not what the other threads computed: call again");
    }
    """
    int fl_raise_pending() except -1
    void fl_forked_within() noexcept


cdef enum:
    FIRST_SLAB = 8 * FL_TILE
    LEAST_SLAB = 256

cdef void work(void* data, int worker) noexcept nogil:
    """One thread's share of a job: slabs, as long as there are any. The caller's thread looks for signals in between.

    What a sample costs varies a thousandfold (one cheap loss in cache, thirty dear ones, pages that come from a disk), and Ctrl-C waits
    for everybody's slab: so slabs grow and shrink, to take about a millisecond at most."""
    cdef Job* job = <Job*>data
    cdef Worker* me = &job.workers[worker]
    cdef fl_fp_state environment = fl_fp_enter()
    cdef int forks = fl_pool_forks()
    cdef Py_ssize_t start, slab = min(job.slab, <Py_ssize_t>FIRST_SLAB)
    cdef double began, now = fl_seconds(), looked = now
    if worker:
        fl_take(&job.company, 1)
    while not job.failed and not job.interrupted:
        start = fl_take(&job.next, slab)
        if start >= job.n:
            break
        if job.wide:
            run_range[double](0.0, job, me, start, min(start + slab, job.n))
        else:
            run_range[float](0.0, job, me, start, min(start + slab, job.n))
        began, now = now, fl_seconds()
        if now - began < 0.00025:
            slab = min(2 * slab, job.slab)
        elif now - began > 0.001 and slab > LEAST_SLAB:
            slab //= 2
        if worker == 0 and job.interruptible and now - looked > 0.02:
            with gil:
                job.interrupted = PyErr_CheckSignals() != 0
                if fl_pool_forks() != forks and job.company and not job.interrupted:
                    job.interrupted = True
                    fl_forked_within()
            now = looked = fl_seconds()
    fl_fp_leave(environment)
