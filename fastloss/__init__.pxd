# fastloss for Cython: `from fastloss cimport fastloss_loss, fastloss_get, fastloss_cost_f64`, with include_dirs=[fastloss.get_include()]
# of the Extension, and include_path=[fastloss.get_include()] of cythonize (which an installed wheel can do without).
# What they do and promise stands in fastloss.h. All but fastloss_get* are to be called without the GIL or with it, as you like.

cdef extern from "fastloss.h" nogil:
    enum:
        FASTLOSS_C_VERSION
        FASTLOSS_OK
        FASTLOSS_NOTHING
        FASTLOSS_TARGET
        FASTLOSS_PREDICTION
        FASTLOSS_WEIGHT

    ctypedef struct fastloss_loss:
        pass

    void fastloss_outputs_f32(const fastloss_loss*, const float* y, const float* p,
                              float* loss, float* gradient, float* hessian, Py_ssize_t n) noexcept
    void fastloss_outputs_f64(const fastloss_loss*, const double* y, const double* p,
                              double* loss, double* gradient, double* hessian, Py_ssize_t n) noexcept
    int fastloss_cost_f32(const fastloss_loss*, const float* y, const float* p, const double* w,
                          float* gradient, Py_ssize_t n, double* cost, Py_ssize_t* at) noexcept
    int fastloss_cost_f64(const fastloss_loss*, const double* y, const double* p, const double* w,
                          double* gradient, Py_ssize_t n, double* cost, Py_ssize_t* at) noexcept
    double fastloss_value(const fastloss_loss*, double y, double p) noexcept
    double fastloss_gradient(const fastloss_loss*, double y, double p) noexcept
    double fastloss_hessian(const fastloss_loss*, double y, double p) noexcept

cdef extern from "fastloss.h":
    int fastloss_get(const char* spec, fastloss_loss* loss) except -1
    int fastloss_get_object(object spec, fastloss_loss* loss) except -1
