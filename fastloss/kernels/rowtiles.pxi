# How tiles of rows come from the user's memory, in any layout, and go back there. Part of rows.pxi.


cdef inline fl_array column_of(const Matrix* m, Py_ssize_t j) noexcept nogil:
    cdef fl_array column
    if m.columns != NULL:
        return m.columns[j]
    column = m.rows
    column.data = m.rows.data + j * m.rows.stride
    column.stride = m.stride
    return column


cdef inline fl_array row_of(const Matrix* m, Py_ssize_t i) noexcept nogil:
    cdef fl_array row = m.rows
    row.data = m.rows.data + i * m.stride
    return row


cdef inline Py_ssize_t lane_at(Py_ssize_t i, Py_ssize_t j, Py_ssize_t classes) noexcept nogil:
    """Where class j of sample i stands in a tile across the lanes."""
    return (i // FL_ACROSS * classes + j) * FL_ACROSS + i % FL_ACROSS


cdef inline bint as_rows(real tag, const Matrix* m) noexcept nogil:
    """Are its rows contiguous numbers of the compute dtype, which kernels can use where they are?"""
    return m.columns == NULL and in_place[real](tag, &m.rows) and m.stride % <Py_ssize_t>sizeof(real) == 0


cdef inline void load_stretch(real tag, const fl_array* a, Py_ssize_t start, Py_ssize_t n, real* to) noexcept nogil:
    """n numbers from index start on, converted."""
    cdef Py_ssize_t at = 0, some
    cdef const real* found
    while at < n:
        some = min(n - at, <Py_ssize_t>FL_TILE)
        if real is float:
            found = fl_load_f32(a, start + at, some, to + at)
        else:
            found = fl_load_f64(a, start + at, some, to + at)
        if found != to + at:
            memcpy(to + at, found, some * sizeof(real))
        at += some


cdef inline void store_stretch(real tag, const real* values, const fl_array* a, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t at = 0, some
    while at < n:
        some = min(n - at, <Py_ssize_t>FL_TILE)
        if real is float:
            fl_store_f32(values + at, a, start + at, some)
        else:
            fl_store_f64(values + at, a, start + at, some)
        at += some


cdef void load_flat(real tag, const Matrix* m, Py_ssize_t start, Py_ssize_t n, Py_ssize_t classes, real* to) noexcept nogil:
    """Rows start <= i < start + n, contiguous."""
    cdef Py_ssize_t i
    cdef fl_array row = row_of(m, start)
    if m.stride == classes * m.rows.stride:
        load_stretch[real](tag, &row, 0, n * classes, to)
        return
    for i in range(n):
        row = row_of(m, start + i)
        load_stretch[real](tag, &row, 0, classes, to + i * classes)


cdef inline bint is_straight(real tag, const fl_array* column) noexcept nogil:
    """Does a column lie contiguous as float32, or as float64 that it is computed in?"""
    cdef bint known = column.code == FL_F32 or (real is double and column.code == FL_F64)
    return known and column.stride == column.size and not column.swapped


cdef inline void ask_columns(const Matrix* m, Py_ssize_t start, Py_ssize_t n, Py_ssize_t classes) noexcept nogil:
    """Have n rows on their way, but for the lines that they begin within: the rows before ask for those."""
    cdef Py_ssize_t j
    cdef fl_array column
    for j in range(classes):
        column = column_of(m, j)
        if 0 < column.stride <= 2 * <Py_ssize_t>sizeof(double):
            fl_ahead(column.data + start * column.stride + LINE, n * column.stride)


cdef inline void ask_ends(real tag, const Matrix* m, Py_ssize_t stop, Py_ssize_t classes) noexcept nogil:
    """Have those lines on their way that rows up to `stop` fill in part."""
    cdef Py_ssize_t j
    cdef fl_array column
    for j in range(classes):
        column = column_of(m, j)
        if is_straight[real](tag, &column) and <size_t>(column.data + stop * column.stride) % LINE:
            fl_ahead_to_write(column.data + stop * column.stride)


cdef void load_columns(real tag, const Matrix* m, Py_ssize_t start, Py_ssize_t n, Py_ssize_t classes, real* to) noexcept nogil:
    """Rows start <= i < start + n, n <= FL_TILE, across the lanes, from columns, each of whose part of the tile is one stretch."""
    cdef Py_ssize_t i, j, whole = n // FL_ACROSS * FL_ACROSS
    cdef const real* found
    cdef real line[FL_TILE]
    cdef fl_array column
    if whole < n:
        memset(to + whole * classes, 0, classes * FL_ACROSS * sizeof(real))
    for j in range(classes):
        column = column_of(m, j)
        if real is float:
            found = fl_load_f32(&column, start, n, line)
        else:
            found = fl_load_f64(&column, start, n, line)
        i = 0
        while i < whole:
            memcpy(to + i * classes + j * FL_ACROSS, found + i, FL_ACROSS * sizeof(real))
            i += FL_ACROSS
        memcpy(to + i * classes + j * FL_ACROSS, found + i, (n - whole) * sizeof(real))


cdef const real* load_lanes(real tag, RowJob* job, RowWorker* me, const Matrix* m, int which, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
    cdef real* to = <real*>me.lanes[which]
    cdef const real* rows = <const real*>me.flat[which]
    cdef Py_ssize_t classes = job.classes, pitch = classes
    if m.class_major:
        load_columns[real](tag, m, start, n, classes, to)
        return to
    # of rows shorter than a square, some of what follows them is read, too
    if as_rows[real](tag, m) and (classes >= SQUARE or (start + n + SQUARE <= job.n and m.stride >= classes * <Py_ssize_t>sizeof(real))):
        rows, pitch = <const real*>(m.rows.data + start * m.stride), m.stride // <Py_ssize_t>sizeof(real)
    else:
        load_flat[real](tag, m, start, n, classes, <real*>rows)
    turn[real](tag, rows, pitch, to, n, classes)
    return to


cdef const real* load_rows(real tag, RowJob* job, RowWorker* me, const Matrix* m, int which, Py_ssize_t start, Py_ssize_t n, Py_ssize_t* pitch) noexcept nogil:
    cdef real* to = <real*>me.flat[which]
    # kernels may read up to FL_WIDE numbers further than a row: another row must follow
    if as_rows[real](tag, m) and m.stride >= job.classes * <Py_ssize_t>sizeof(real) and start + n < job.n:
        pitch[0] = m.stride // <Py_ssize_t>sizeof(real)
        return <const real*>(m.rows.data + start * m.stride)
    pitch[0] = job.classes
    if m.class_major:
        load_columns[real](tag, m, start, n, job.classes, <real*>me.lanes[which])
        if real is float:
            fl_turn_back_f32(<real*>me.lanes[which], to, job.classes, n, job.classes)
        else:
            fl_turn_back_f64(<real*>me.lanes[which], to, job.classes, n, job.classes)
    else:
        load_flat[real](tag, m, start, n, job.classes, to)
    return to


cdef void store_tile(real tag, RowJob* job, RowWorker* me, const Matrix* m, const real* values, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
    """What a kernel made, in its form, to the user's memory."""
    cdef Py_ssize_t i, classes = job.classes, pitch = m.stride // <Py_ssize_t>sizeof(real)
    cdef fl_array line
    cdef real* back = <real*>me.back
    if m.class_major:
        store_columns[real](tag, job, m, values, back, start, n)
        return
    if job.lanes:
        if as_rows[real](tag, m) and classes >= SQUARE and not job.stream:
            turn_back[real](tag, values, <real*>(m.rows.data + start * m.stride), pitch, n, classes)
            return
        turn_back[real](tag, values, back, classes, n, classes)
        values = back
    if job.stream and as_rows[real](tag, m) and pitch == classes:
        fl_stream(m.rows.data + start * m.stride, values, n * m.stride)
        return
    line = row_of(m, start)
    if m.stride == classes * m.rows.stride:
        store_stretch[real](tag, values, &line, 0, n * classes)
        return
    for i in range(n):
        line = row_of(m, start + i)
        store_stretch[real](tag, values + i * classes, &line, 0, classes)


cdef void store_columns(real tag, RowJob* job, const Matrix* m, const real* values, real* back, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
    """A column's part of the tile is one stretch. To memory it goes when all of the tile is converted: what was just stored could not be
    read before what was stored before it, past the caches, has reached memory."""
    cdef Py_ssize_t i, j, classes = job.classes, pitch = job.step * <Py_ssize_t>sizeof(real)
    cdef fl_array column
    if not job.lanes:
        turn[real](tag, values, classes, back, n, classes)
        values = back
    for j in range(classes):
        column = column_of(m, j)
        if job.lanes and is_straight[real](tag, &column):
            if real is float:
                fl_stretch_f32(values + j * FL_ACROSS, classes, n, <char*>back + j * pitch, column.size)
            else:
                fl_stretch_f64(values + j * FL_ACROSS, classes, n, <char*>back + j * pitch, column.size)
            continue
        i = 0
        while i < n:
            store_stretch[real](tag, values + i * classes + j * FL_ACROSS, &column, start + i, min(n - i, <Py_ssize_t>FL_ACROSS))
            i += FL_ACROSS
    for j in range(classes):
        column = column_of(m, j)
        if job.lanes and is_straight[real](tag, &column):
            fl_deliver(column.data + start * column.stride, <char*>back + j * pitch, n * column.size, job.stream)


cdef inline void turn(real tag, const real* rows, Py_ssize_t pitch, real* to, Py_ssize_t n, Py_ssize_t classes) noexcept nogil:
    """Rows become samples across the lanes; those that no sample fills become 0."""
    cdef Py_ssize_t i = 0, some
    while i < n:
        some = min(n - i, <Py_ssize_t>FL_ACROSS)
        if some < FL_ACROSS:
            memset(to + i * classes, 0, classes * FL_ACROSS * sizeof(real))
        if real is float:
            fl_turn_f32(rows + i * pitch, pitch, to + i * classes, FL_ACROSS, some, classes)
        else:
            fl_turn_f64(rows + i * pitch, pitch, to + i * classes, FL_ACROSS, some, classes)
        i += FL_ACROSS


cdef inline void turn_back(real tag, const real* values, real* to, Py_ssize_t pitch, Py_ssize_t n, Py_ssize_t classes) noexcept nogil:
    """Samples across the lanes become rows."""
    cdef Py_ssize_t i = 0
    while i < n:
        if real is float:
            fl_turn_back_f32(values + i * classes, to + i * pitch, pitch, min(n - i, <Py_ssize_t>FL_ACROSS), classes)
        else:
            fl_turn_back_f64(values + i * classes, to + i * pitch, pitch, min(n - i, <Py_ssize_t>FL_ACROSS), classes)
        i += FL_ACROSS
