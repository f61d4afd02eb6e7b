# cython: language_level=3
"""What depends on the processor alone: the instruction-set levels that can run here, and the floating-point environment."""

import functools

cdef extern from *:
    """
    #if defined(__x86_64__) || defined(_M_X64)
    static const char *fl_level(int index) {
        __builtin_cpu_init();
        int v2 = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
        int v3 = v2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
        int v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd")
                 && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
        return index == 0 && v2 ? "x86-64-v2" : index == 1 && v3 ? "x86-64-v3" : index == 2 && v4 ? "x86-64-v4" : 0;
    }
    #elif defined(__aarch64__)
    static const char *fl_level(int index) { return index == 0 ? "aarch64" : 0; }
    #else
    static const char *fl_level(int index) { return index == 0 ? "generic" : 0; }
    #endif
    /* threadpoolctl knows this library by it: engine/threadpools.py */
    #if defined(__GNUC__) && !defined(_WIN32)
    __attribute__((visibility("default")))
    #elif defined(_WIN32)
    __declspec(dllexport)
    #endif
    extern const int fastloss_has_threads;
    const int fastloss_has_threads = 1;
    """
    const char* fl_level(int)


def levels():
    """The levels that can run here, the least demanding first."""
    return [fl_level(index).decode() for index in range(3) if fl_level(index) != NULL]


cdef extern from "fpenv.h":
    ctypedef int fl_fp_state
    fl_fp_state fl_fp_enter() noexcept
    void fl_fp_leave(fl_fp_state) noexcept


def ieee(function):
    """The function, run in the default floating-point environment, whatever another library has set (see fpenv.h)."""
    @functools.wraps(function)
    def run(*args, **kwargs):
        cdef fl_fp_state environment = fl_fp_enter()
        try:
            return function(*args, **kwargs)
        finally:
            fl_fp_leave(environment)
    return run
