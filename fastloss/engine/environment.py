"""Results do not depend on the floating-point environment that others left: not on flush-to-zero, not on the rounding mode."""

try:
    from fastloss.kernels.cpu import ieee
except ImportError:  # nothing was compiled, and Python cannot set it: Numba and Python compute in the environment as it is

    def ieee(function):
        return function
