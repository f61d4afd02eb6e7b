# The driver of rowwise losses: tiles of samples, in any layout, become rows or lanes (see compiler/rows_cython.py) and go through
# load -> check -> kernel -> sum -> store. Included after driver.pxi, whose operands, sums and pool it uses.

from libc.string cimport memcpy
from libc.stdlib cimport malloc

cdef extern from "rows.h" nogil:
    enum: FL_ACROSS
    enum: FL_BLOCK
    enum: FL_FEW
    enum: FL_SPARE
    enum: FL_WIDE
    ctypedef struct RowTile:
        const void* z
        const void* y
        const void* c
        const void* factor
        const int* label
        const double* parameters
        Py_ssize_t n
        Py_ssize_t classes
        Py_ssize_t z_pitch
        Py_ssize_t y_pitch
        Py_ssize_t gradient_pitch
        Py_ssize_t hessian_pitch
        void* loss
        void* gradient
        void* hessian
        void* kept[2]
        int stream
    int fl_pick(int, int, int) noexcept
    int64_t fl_pick64(int, int64_t, int64_t) noexcept
    double fl_rescaled(double, double, double, double, double) noexcept
    float fl_part_basef(float) noexcept
    double fl_part_base(double) noexcept
    float fl_part_powerf(float, float) noexcept
    double fl_part_power(double, double) noexcept
    float fl_part_lowf(float) noexcept
    double fl_part_low(double) noexcept
    float fl_part_shiftf(float) noexcept
    double fl_part_shift(double) noexcept
    float fl_part_expf(float, float, float, float) noexcept
    double fl_part_exp(double, double, double, double) noexcept
    void fl_row_ahead(const char*, Py_ssize_t) noexcept
    double fl_row_sum_f32(float*, Py_ssize_t) noexcept
    double fl_row_sum_f64(double*, Py_ssize_t) noexcept
    float fl_row_max_f32(const float*, Py_ssize_t) noexcept
    double fl_row_max_f64(const double*, Py_ssize_t) noexcept
    float fl_row_max_or_nan_f32(const float*, Py_ssize_t) noexcept
    double fl_row_max_or_nan_f64(const double*, Py_ssize_t) noexcept
    Py_ssize_t fl_row_find_f32(const float*, Py_ssize_t, float) noexcept
    Py_ssize_t fl_row_find_f64(const double*, Py_ssize_t, double) noexcept
    void fl_turn_f32(const float*, Py_ssize_t, float*, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept
    void fl_turn_f64(const double*, Py_ssize_t, double*, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept
    void fl_turn_back_f32(const float*, float*, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept
    void fl_turn_back_f64(const double*, double*, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept
    void fl_stream(void*, const void*, Py_ssize_t) noexcept
    void fl_deliver(void*, const void*, Py_ssize_t, int) noexcept
    void fl_fence() noexcept
    void fl_labels(const fl_array*, Py_ssize_t, Py_ssize_t, int64_t*) noexcept

cdef extern from "threshold.h" nogil:
    void fl_threshold_lanes_f32(const float*, Py_ssize_t, float*, float*, float*) noexcept
    void fl_threshold_lanes_f64(const double*, Py_ssize_t, double*, double*, double*) noexcept
    void fl_threshold_row_f32(const float*, Py_ssize_t, float*, float*, float*) noexcept
    void fl_threshold_row_f64(const double*, Py_ssize_t, double*, double*, double*) noexcept

ctypedef void (*row_kernel)(const RowTile*) noexcept nogil

include "generated_rows.pxi"

cdef enum:
    SQUARE = 8              # columns from which fl_turn reads and writes no further than a row
    IN_SCORES = 1           # as IN_PREDICTION: IN_TARGET and IN_WEIGHT are those of driver.pxi
    PENDING = 224           # losses that are collected before they are summed: FL_TILE - FL_ACROSS

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
    double terms[FL_TILE]   # losses (times weights), their rows and weights, that wait to be summed
    double weight[FL_TILE]
    Py_ssize_t row[FL_TILE]

cdef struct RowWorker:
    RowTally* tallies
    Py_ssize_t error_at     # row + 1; 0: none
    Py_ssize_t error_class
    int error_task
    int error_in
    char* memory            # all that follows
    void* lanes[2]          # z and y transposed: [classes][FL_ACROSS]
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
                if tally.first_nan == 0 or to.row[i] + 1 < tally.first_nan:
                    tally.first_nan = to.row[i] + 1
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
        if not violates[real](tag, check, x, classes * FL_ACROSS):
            return True
    else:
        for i in range(n):
            fine = fine and not violates[real](tag, check, x + i * pitch, classes)
        if fine:
            return True
    for i in range(n):
        for j in range(classes):
            value = x[j * FL_ACROSS + i] if job.lanes else x[i * pitch + j]
            if violates[real](tag, check, &value, 1):
                row_fail(job, me, task, where, start + i, j)
                return False
    return True     # it was in the lanes that no sample fills


cdef void row_tile(real tag, RowJob* job, RowWorker* me, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
    """All losses over rows start <= i < start + n, n <= FL_ACROSS."""
    cdef RowTile tile
    cdef RowTask* task
    cdef RowTally* tally
    cdef int64_t t, labels[FL_ACROSS]
    cdef int label[FL_ACROSS]
    cdef bint left_out[FL_ACROSS]
    cdef double weights[FL_ACROSS]
    cdef const double* w = NULL
    cdef real factor[FL_ACROSS]
    cdef real loss[FL_ACROSS]
    cdef Py_ssize_t i, j, o, classes = job.classes, pitch
    cdef bint bad, ignoring, direct[2]
    cdef int k
    cdef real* to
    cdef bint weigh_rows
    memset(&tile, 0, sizeof(RowTile))
    tile.n, tile.classes, tile.stream = n, classes, job.stream
    tile.label, tile.factor, tile.loss = label, factor, loss
    tile.kept[0], tile.kept[1] = me.kept[0], me.kept[1]
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
    for i in range(FL_ACROSS):
        factor[i], label[i], left_out[i] = <real>job.scale, 0, False
    if w != NULL:
        for i in range(n):
            factor[i] = <real>(w[i] * job.scale)
    for k in range(job.n_tasks):
        task = &job.tasks[k]
        ignoring = bad = False
        if job.labels:
            for i in range(n):      # anew for each loss: another may have left out other rows
                left_out[i] = task.ignores and labels[i] == task.ignored
                ignoring |= left_out[i]
            bad = False
            for i in range(n):
                t = fl_pick64(left_out[i], 0, labels[i])
                bad |= (t < 0) | (t >= classes)
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
            tile.c, tile.parameters = task.c, task.parameters
            for o in range(2):
                if job.outputs[o].wanted or o == 0:
                    direct[o] = job.outputs[o].wanted and not job.lanes and as_rows[real](tag, &job.outputs[o])
                    to = <real*>me.made[o]
                    pitch = classes
                    if direct[o]:
                        to = <real*>(job.outputs[o].rows.data + start * job.outputs[o].stride)
                        pitch = job.outputs[o].stride // <Py_ssize_t>sizeof(real)
                    if o == 0:
                        tile.gradient, tile.gradient_pitch = to, pitch
                    else:
                        tile.hessian, tile.hessian_pitch = to, pitch
            task.kernel(&tile)
        weigh_rows = job.weighted or (task.weighs and job.labels)     # of targets, class weights weigh terms, not rows
        if ignoring:
            for i in range(n):
                if left_out[i]:
                    loss[i] = 0
        if job.summed:
            tally = &me.tallies[k]
            for i in range(n):
                tally.row[tally.pending + i] = start + i
            if w != NULL:
                for i in range(n):
                    tally.terms[tally.pending + i] = <double>loss[i] * w[i]
            else:
                for i in range(n):
                    tally.terms[tally.pending + i] = <double>loss[i]
            if task.kernel == NULL:
                for i in range(n):
                    tally.terms[tally.pending + i] = 0.0
            if weigh_rows:
                for i in range(n):
                    j = tally.pending + i
                    tally.weight[j] = w[i] if w != NULL else 1.0
                    if task.weighs and job.labels:
                        tally.weight[j] *= <double>(<real*>task.c)[label[i]]
                    if left_out[i]:
                        tally.weight[j] = 0.0
            if ignoring:
                for i in range(n):
                    tally.n_ignored += left_out[i]
                    if left_out[i]:
                        tally.terms[tally.pending + i] = 0.0
            if tally.labels.counts != NULL:
                for i in range(n):
                    if not left_out[i]:
                        j = tally.pending + i
                        add_label(&tally.labels, label[i], tally.terms[j], &tally.weight[j] if weigh_rows else NULL, job.skip_nan)
            tally.pending += n
            if tally.pending > PENDING:
                flush(tally, weigh_rows, job.skip_nan)
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
                                to[j * FL_ACROSS + i if job.lanes else i * pitch + j] = 0
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
