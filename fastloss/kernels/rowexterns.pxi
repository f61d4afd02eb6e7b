# What rowwise kernels and their driver take from the headers. Part of rows.pxi.

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
        const char* ahead
        Py_ssize_t ahead_step
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
    void fl_ahead(const char*, Py_ssize_t) noexcept
    void fl_ahead_to_write(const char*) noexcept
    double fl_row_sum_f32(float*, Py_ssize_t) noexcept
    double fl_row_sum_f64(double*, Py_ssize_t) noexcept
    float fl_row_max_f32(const float*, Py_ssize_t) noexcept
    double fl_row_max_f64(const double*, Py_ssize_t) noexcept
    float fl_row_max_or_nan_f32(const float*, Py_ssize_t) noexcept
    double fl_row_max_or_nan_f64(const double*, Py_ssize_t) noexcept
    Py_ssize_t fl_row_find_f32(const float*, Py_ssize_t, float) noexcept
    Py_ssize_t fl_row_find_f64(const double*, Py_ssize_t, double) noexcept
    void fl_label_get_f32(const float*, const int*, Py_ssize_t, float*) noexcept
    void fl_label_get_f64(const double*, const int*, Py_ssize_t, double*) noexcept
    void fl_label_put_f32(float*, const int*, Py_ssize_t, const float*) noexcept
    void fl_label_put_f64(double*, const int*, Py_ssize_t, const double*) noexcept
    void fl_turn_f32(const float*, Py_ssize_t, float*, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept
    void fl_turn_f64(const double*, Py_ssize_t, double*, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept
    void fl_turn_back_f32(const float*, float*, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept
    void fl_turn_back_f64(const double*, double*, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept
    void fl_stream(void*, const void*, Py_ssize_t) noexcept
    void fl_stretch_f32(const float*, Py_ssize_t, Py_ssize_t, void*, int) noexcept
    void fl_stretch_f64(const double*, Py_ssize_t, Py_ssize_t, void*, int) noexcept
    void fl_deliver(void*, const void*, Py_ssize_t, int) noexcept
    void fl_fence() noexcept
    void fl_labels(const fl_array*, Py_ssize_t, Py_ssize_t, int64_t*) noexcept

cdef extern from "threshold.h" nogil:
    void fl_threshold_lanes_f32(const float*, Py_ssize_t, float*, float*, float*) noexcept
    void fl_threshold_lanes_f64(const double*, Py_ssize_t, double*, double*, double*) noexcept
    void fl_threshold_row_f32(const float*, Py_ssize_t, float*, float*, float*) noexcept
    void fl_threshold_row_f64(const double*, Py_ssize_t, double*, double*, double*) noexcept

cdef extern from "pairs.h" nogil:
    void fl_pairs_lanes_f32(const float*, const float*, Py_ssize_t, float, float*, float*) noexcept
    void fl_pairs_lanes_f64(const double*, const double*, Py_ssize_t, double, double*, double*) noexcept
    float fl_pairs_row_f32(const float*, const float*, Py_ssize_t, float, float*) noexcept
    double fl_pairs_row_f64(const double*, const double*, Py_ssize_t, double, double*) noexcept
