# What the rows of each label add up to, exactly: only where it is asked for. Included before rows.pxi, whose tallies hold it.

cdef extern from "stdlib.h" nogil:
    void* calloc(size_t, size_t) noexcept

cdef struct LabelCounts:
    Py_ssize_t rows
    Py_ssize_t n_nan
    Py_ssize_t n_positive
    Py_ssize_t n_negative

cdef struct LabelSums:      # an entry per label; memory that no row touches is never taken (calloc)
    LabelCounts* counts     # NULL: not asked for
    fl_exact* totals
    fl_exact* weights


cdef int open_labels(LabelSums* sums, Py_ssize_t classes) except -1:
    sums.counts = <LabelCounts*>calloc(classes, sizeof(LabelCounts))
    sums.totals = <fl_exact*>calloc(classes, sizeof(fl_exact))
    sums.weights = <fl_exact*>calloc(classes, sizeof(fl_exact))
    if sums.counts == NULL or sums.totals == NULL or sums.weights == NULL:
        raise MemoryError()
    return 0


cdef void close_labels(LabelSums* sums) noexcept:
    free(sums.counts)
    free(sums.totals)
    free(sums.weights)


cdef inline void add_label(LabelSums* sums, Py_ssize_t label, double term, const double* weight, bint skip_nan) noexcept nogil:
    """One row: its weighted loss, and what it weighs, or NULL where all rows weigh one."""
    cdef LabelCounts* counts = &sums.counts[label]
    counts.rows += 1
    if not counts.rows % (1 << 30):     # counted here, in the line that is at hand
        fl_exact_carry(&sums.totals[label])
        fl_exact_carry(&sums.weights[label])
    if term != term:
        counts.n_nan += 1
        if skip_nan:
            return
    elif term - term != 0.0:
        counts.n_positive += term > 0.0
        counts.n_negative += term < 0.0
    else:
        fl_exact_deposit(&sums.totals[label], term)
    if weight != NULL:
        fl_exact_deposit(&sums.weights[label], weight[0])


cdef object labels_object(list parts, bint weighted):
    """{label: (total, n_nan, n_positive, n_negative, weights or None, rows)} of the labels that occurred, from several threads' sums."""
    cdef LabelSums* sums
    cdef LabelCounts* counts
    cdef Py_ssize_t label, classes
    found = {}
    for address, classes in parts:
        sums = <LabelSums*><size_t>address
        for label in range(classes):
            counts = &sums.counts[label]
            if counts.rows:
                total, n_nan, n_positive, n_negative, weights, rows = found.get(label, (0, 0, 0, 0, 0 if weighted else None, 0))
                found[label] = (total + as_int(&sums.totals[label]), n_nan + counts.n_nan, n_positive + counts.n_positive,
                                n_negative + counts.n_negative, weights + as_int(&sums.weights[label]) if weighted else None,
                                rows + counts.rows)
    return found
