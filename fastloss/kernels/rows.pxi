# The driver of rowwise losses: tiles of samples, in any layout, become rows or lanes (see compiler/rows_cython.py) and go through
# load -> check -> kernel -> sum -> store. Included after driver.pxi, whose operands, sums and pool it uses.

from libc.string cimport memcpy
from libc.stdlib cimport malloc

include "rowexterns.pxi"

ctypedef void (*row_kernel)(const RowTile*) noexcept nogil

include "generated_rows.pxi"

cdef enum:
    SQUARE = 8              # columns from which fl_turn reads and writes no further than a row
    SOON = 8192             # bytes
    LINE = 64               # bytes of a cache's line
    TOGETHER = 512          # classes up to which rows are stored past the caches by the tile
    WORKED = 2048           # scores of a tile of few classes, which with what is made of them stay in the first cache
    APART = 8192            # of one whose outputs go past the caches column by column: each stretch has two ends, lines filled in part
    IN_SCORES = 1           # as IN_PREDICTION: IN_TARGET and IN_WEIGHT are those of driver.pxi

cdef struct Matrix:         # N rows of C columns
    fl_array rows           # its first row: data, stride between columns, element type
    Py_ssize_t stride       # from one row to the next, in bytes
    fl_array* columns       # or NULL: an array per column
    bint class_major        # a column's elements are nearer to one another than a row's
    bint wanted

cdef struct RowTask:
    row_kernel kernel
    double parameters[MAX_PARAMETERS]
    void* c                 # class weights in the compute dtype (FL_SPARE more than there are classes), or NULL
    bint weighs             # and they are not all 1 because there are none
    Check targets
    Check scores
    bint ignores
    int64_t ignored

cdef struct RowTally:
    Tally tally
    fl_sum weight_lanes
    fl_exact weights        # what the mean is divided by, where rows weigh differently
    Py_ssize_t n_ignored
    LabelSums labels        # of each label by itself
    Py_ssize_t pending
    Py_ssize_t first        # the row of the first of them: they follow one another
    double terms[FL_TILE]   # losses (times weights), and their weights, that wait to be summed
    double weight[FL_TILE]

cdef struct RowWorker:
    RowTally* tallies
    Py_ssize_t error_at     # row + 1; 0: none
    Py_ssize_t error_class
    int error_task
    int error_in
    char* memory            # all that follows
    void* lanes[2]          # z and y transposed: for every FL_ACROSS samples [classes][FL_ACROSS]
    void* flat[2]           # z and y as contiguous rows
    void* made[2]           # gradient and Hessian, as the kernel leaves them
    void* back              # and as rows again
    void* kept[2]

cdef struct RowJob:
    Py_ssize_t n
    Py_ssize_t classes
    Py_ssize_t step         # rows of a tile
    Py_ssize_t slab
    Py_ssize_t next
    Py_ssize_t company
    bint wide
    bint lanes              # the form
    bint labels
    int n_tasks
    RowTask* tasks
    Matrix z
    Matrix y
    fl_array label
    fl_array w
    bint weighted
    bint summed
    bint skip_nan
    double scale
    fl_array loss
    bint loss_wanted
    Matrix outputs[2]       # gradient, Hessian
    bint stream             # outputs go past the caches, because they are larger
    bint interruptible
    bint failed
    bint interrupted
    RowWorker* workers


include "rowtiles.pxi"


cdef void flush(RowTally* to, bint weighted, bint skip_nan) noexcept nogil:
    """Sum the losses that wait."""
    cdef Py_ssize_t i
    cdef double term
    cdef Tally* tally = &to.tally
    if weighted:
        fl_sum_add_f64(&to.weight_lanes, &to.weights, to.weight, to.pending)
    if fl_sum_add_f64(&tally.lanes, &tally.total, to.terms, to.pending):
        for i in range(to.pending):
            term = to.terms[i]
            if term != term:
                tally.n_nan += 1
                if tally.first_nan == 0 or to.first + i + 1 < tally.first_nan:
                    tally.first_nan = to.first + i + 1
                if skip_nan and weighted:
                    fl_exact_add(&tally.left_out, to.weight[i])
            elif term - term != 0.0:
                tally.n_positive += term > 0.0
                tally.n_negative += term < 0.0
            else:
                fl_exact_add(&tally.total, term)
    to.pending = 0


cdef void row_fail(RowJob* job, RowWorker* me, int task, int where, Py_ssize_t row, Py_ssize_t column) noexcept nogil:
    if me.error_at == 0 or row + 1 < me.error_at:
        me.error_at, me.error_class, me.error_task, me.error_in = row + 1, column, task, where
    job.failed = True


cdef bint check_matrix(real tag, RowJob* job, RowWorker* me, int task, int where, const Check* check, const real* x, Py_ssize_t pitch, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
    """Are all numbers of a tile in their domain? If not, the first that is not is noted."""
    cdef Py_ssize_t i, j, classes = job.classes
    cdef real value
    cdef bint fine = True
    if check.kind == ANYTHING:
        return True
    if job.lanes:
        if not violates[real](tag, check, x, (n + FL_ACROSS - 1) // FL_ACROSS * FL_ACROSS * classes):
            return True
    else:
        for i in range(n):
            fine = fine and not violates[real](tag, check, x + i * pitch, classes)
        if fine:
            return True
    for i in range(n):
        for j in range(classes):
            value = x[lane_at(i, j, classes)] if job.lanes else x[i * pitch + j]
            if violates[real](tag, check, &value, 1):
                row_fail(job, me, task, where, start + i, j)
                return False
    return True     # it was in the lanes that no sample fills


cdef void run_kernel(real tag, RowJob* job, RowTask* task, RowTile tile, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
    """A loss's kernel over a tile, FL_ACROSS samples at a time; it is handed the tile as it is for the first of them."""
    cdef Py_ssize_t at = 0, size = sizeof(real), classes = job.classes
    if job.lanes and 0 < job.z.stride <= 2 * classes * <Py_ssize_t>sizeof(double):
        tile.ahead, tile.ahead_step = job.z.rows.data + (start + job.step) * job.z.stride, FL_ACROSS * job.z.stride // classes
    elif not job.lanes and job.z.stride == classes * job.z.rows.size:
        # of scores that are used where they are, what follows soon; of converted ones, the next tile's
        tile.ahead = job.z.rows.data + (start + (0 if as_rows[real](tag, &job.z) else job.step)) * job.z.stride
        tile.ahead += SOON if as_rows[real](tag, &job.z) else 0
        tile.ahead_step = job.z.rows.size
    tile.c, tile.parameters = task.c, task.parameters
    while True:
        tile.n = min(n - at, <Py_ssize_t>FL_ACROSS)
        if job.lanes and 0 < job.label.stride <= <Py_ssize_t>sizeof(int64_t):
            fl_ahead(job.label.data + (start + job.step + at) * job.label.stride, FL_ACROSS * job.label.stride)
        if job.z.class_major:
            ask_columns(&job.z, start + job.step + at, min(job.step, <Py_ssize_t>FL_ACROSS), classes)
        if job.y.class_major:
            ask_columns(&job.y, start + job.step + at, min(job.step, <Py_ssize_t>FL_ACROSS), classes)
        task.kernel(&tile)
        at += FL_ACROSS
        if at >= n:
            break
        tile.label += FL_ACROSS
        tile.ahead += classes * tile.ahead_step
        tile.factor = <const char*>tile.factor + FL_ACROSS * size
        tile.loss = <char*>tile.loss + FL_ACROSS * size
        tile.z = <const char*>tile.z + FL_ACROSS * size * (classes if job.lanes else tile.z_pitch)
        if tile.y != NULL:
            tile.y = <const char*>tile.y + FL_ACROSS * size * (classes if job.lanes else tile.y_pitch)
        tile.gradient = <char*>tile.gradient + FL_ACROSS * size * (classes if job.lanes else tile.gradient_pitch)
        if tile.hessian != NULL:
            tile.hessian = <char*>tile.hessian + FL_ACROSS * size * (classes if job.lanes else tile.hessian_pitch)


cdef void collect(real tag, RowJob* job, RowTally* tally, RowTask* task, const real* loss, const double* w, const int* label, const bint* left_out, bint ignoring, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
    """Losses of rows start <= i < start + n to what is to be summed."""
    cdef bint weigh_rows = job.weighted or (task.weighs and job.labels)     # of targets, class weights weigh terms, not rows
    cdef double* terms
    cdef double* weight
    cdef Py_ssize_t i
    if tally.pending + n > FL_TILE:
        flush(tally, weigh_rows, job.skip_nan)
    if tally.pending == 0:
        tally.first = start
    terms, weight = tally.terms + tally.pending, tally.weight + tally.pending
    if task.kernel == NULL:
        memset(terms, 0, n * sizeof(double))
    elif w != NULL:
        for i in range(n):
            terms[i] = <double>loss[i] * w[i]
    else:
        for i in range(n):
            terms[i] = <double>loss[i]
    if weigh_rows:
        for i in range(n):
            weight[i] = w[i] if w != NULL else 1.0
            if task.weighs and job.labels:
                weight[i] *= <double>(<real*>task.c)[label[i]]
            if left_out[i]:
                weight[i] = 0.0
    if ignoring:
        for i in range(n):
            tally.n_ignored += left_out[i]
            if left_out[i]:
                terms[i] = 0.0
    if tally.labels.counts != NULL:
        for i in range(n):
            if not left_out[i]:
                add_label(&tally.labels, label[i], terms[i], &weight[i] if weigh_rows else NULL, job.skip_nan)
    tally.pending += n


cdef void row_tile(real tag, RowJob* job, RowWorker* me, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
    """All losses over rows start <= i < start + n, n <= FL_TILE."""
    cdef RowTile tile
    cdef RowTask* task
    cdef int64_t t, labels[FL_TILE]
    cdef int label[FL_TILE]
    cdef bint left_out[FL_TILE]
    cdef double weights[FL_TILE]
    cdef const double* w = NULL
    cdef real factor[FL_TILE]
    cdef real loss[FL_TILE]
    cdef Py_ssize_t i, j, o, classes = job.classes, pitch, whole = (n + FL_ACROSS - 1) // FL_ACROSS * FL_ACROSS
    cdef bint bad, ignoring, together, direct[2]
    cdef int k
    cdef real* to
    memset(&tile, 0, sizeof(RowTile))
    tile.classes, tile.stream = classes, job.stream and classes > TOGETHER
    tile.label, tile.factor, tile.loss = label, factor, loss
    # along rows: where a gradient is gathered, or would be if it were not stored where it is wanted
    tile.kept[0], tile.kept[1] = me.kept[0] if job.lanes else me.made[0], me.kept[1]
    if job.n_tasks and job.tasks.kernel != NULL:
        if job.lanes:
            tile.z = load_lanes[real](tag, job, me, &job.z, 0, start, n)
        else:
            tile.z = load_rows[real](tag, job, me, &job.z, 0, start, n, &tile.z_pitch)
        if not job.labels:
            if job.lanes:
                tile.y = load_lanes[real](tag, job, me, &job.y, 1, start, n)
            else:
                tile.y = load_rows[real](tag, job, me, &job.y, 1, start, n, &tile.y_pitch)
    if job.labels:
        fl_labels(&job.label, start, n, labels)
    if job.weighted:
        w = fl_load_f64(&job.w, start, n, weights)
        for i in range(n):
            if not (w[i] >= 0.0 and w[i] - w[i] == 0.0):
                row_fail(job, me, 0, IN_WEIGHT, start + i, 0)
                n = i       # what is wrong in a row before it is named instead
                break
    for i in range(whole):
        factor[i], label[i], left_out[i] = <real>job.scale, 0, False
    if w != NULL:
        for i in range(n):
            factor[i] = <real>(w[i] * job.scale)
    for k in range(job.n_tasks):
        task = &job.tasks[k]
        ignoring = bad = False
        if job.labels:
            if task.ignores:        # anew for each loss: another may have left out other rows
                for i in range(n):
                    left_out[i] = labels[i] == task.ignored
                    ignoring |= left_out[i]
            elif k:
                memset(left_out, 0, sizeof(left_out))
            for i in range(n):
                t = fl_pick64(left_out[i], 0, labels[i])
                bad |= <uint64_t>t >= <uint64_t>classes
                label[i] = <int>t
            if bad:
                for i in range(n):
                    if not left_out[i] and not 0 <= labels[i] < classes:
                        row_fail(job, me, k, IN_TARGET, start + i, -1)
                        n = i
                        break
        if task.kernel != NULL:
            if not job.labels and not check_matrix[real](tag, job, me, k, IN_TARGET, &task.targets, <const real*>tile.y, tile.y_pitch, start, n):
                n = me.error_at - 1 - start
            if not check_matrix[real](tag, job, me, k, IN_SCORES, &task.scores, <const real*>tile.z, tile.z_pitch, start, n):
                n = me.error_at - 1 - start
        if me.error_at:
            continue
        if task.kernel != NULL:
            for o in range(2):
                if job.outputs[o].wanted or o == 0:
                    # short rows that go past the caches go together: what they share of a cache line would cost more than the copy
                    together = job.stream and classes <= TOGETHER
                    direct[o] = job.outputs[o].wanted and not job.lanes and not together and as_rows[real](tag, &job.outputs[o])
                    to = <real*>me.made[o]
                    pitch = classes
                    if direct[o]:
                        to = <real*>(job.outputs[o].rows.data + start * job.outputs[o].stride)
                        pitch = job.outputs[o].stride // <Py_ssize_t>sizeof(real)
                    if o == 0:
                        tile.gradient, tile.gradient_pitch = to, pitch
                    else:
                        tile.hessian, tile.hessian_pitch = to, pitch
                    if job.stream and job.lanes and job.outputs[o].class_major:
                        ask_ends[real](tag, &job.outputs[o], start + n, classes)
            run_kernel[real](tag, job, task, tile, start, n)
        if ignoring:
            for i in range(n):
                if left_out[i]:
                    loss[i] = 0
        if job.summed:
            collect[real](tag, job, &me.tallies[k], task, loss, w, label, left_out, ignoring, start, n)
        if job.loss_wanted:
            if w != NULL:
                for i in range(n):
                    loss[i] = <real>(<double>loss[i] * w[i]) if not left_out[i] else 0
            store_stretch[real](tag, loss, &job.loss, start, n)
        for o in range(2):
            if job.outputs[o].wanted:
                to = <real*>(tile.gradient if o == 0 else tile.hessian)
                if ignoring:
                    pitch = tile.gradient_pitch if o == 0 else tile.hessian_pitch
                    for i in range(n):
                        if left_out[i]:
                            for j in range(classes):
                                to[lane_at(i, j, classes) if job.lanes else i * pitch + j] = 0
                if not direct[o]:
                    store_tile[real](tag, job, me, &job.outputs[o], to, start, n)


cdef void row_range(real tag, RowJob* job, RowWorker* me, Py_ssize_t start, Py_ssize_t stop) noexcept nogil:
    cdef int k
    while start < stop and not me.error_at:
        row_tile[real](tag, job, me, start, min(job.step, stop - start))
        start += job.step
    if job.summed:
        for k in range(job.n_tasks):
            flush(&me.tallies[k], job.weighted or (job.tasks[k].weighs and job.labels), job.skip_nan)
            fl_sum_close(&me.tallies[k].tally.lanes, &me.tallies[k].tally.total)
            fl_sum_close(&me.tallies[k].weight_lanes, &me.tallies[k].weights)


cdef void row_work(void* data, int worker) noexcept nogil:
    """One thread's share: as `work` of passes.pxi, slab by slab."""
    cdef RowJob* job = <RowJob*>data
    cdef RowWorker* me = &job.workers[worker]
    cdef fl_fp_state environment = fl_fp_enter()
    cdef int forks = fl_pool_forks()
    cdef Py_ssize_t start, slab = job.step
    cdef double began, now = fl_seconds(), looked = now
    if worker:
        fl_take(&job.company, 1)
    while not job.failed and not job.interrupted:
        start = fl_take(&job.next, slab)
        if start >= job.n:
            break
        if job.wide:
            row_range[double](0.0, job, me, start, min(start + slab, job.n))
        else:
            row_range[float](0.0, job, me, start, min(start + slab, job.n))
        began, now = now, fl_seconds()
        if now - began < 0.00025:
            slab = min(2 * slab, job.slab)
        elif now - began > 0.001 and slab > job.step:
            slab = max(job.step, slab // 2 // job.step * job.step)
        if worker == 0 and job.interruptible and now - looked > 0.02:
            with gil:
                job.interrupted = PyErr_CheckSignals() != 0
                if fl_pool_forks() != forks and job.company and not job.interrupted:
                    job.interrupted = True
                    fl_forked_within()
            now = looked = fl_seconds()
    fl_fence()
    fl_fp_leave(environment)
