"""NumPy: the plain expression with no needless temporary: what can be done in place is. One thread, as its ufuncs have."""

import numpy as np

from benchmarks.libraries import numpy_classes, numpy_regression
from benchmarks.libraries.numpy_gradients import COST_GRADIENT

NAME = "numpy"
GRADIENT_PER_SAMPLE = False
COST = numpy_regression.COST | numpy_classes.COST

__all__ = ["COST", "COST_GRADIENT", "GRADIENT_PER_SAMPLE", "NAME", "threads", "version"]


def version():
    return np.__version__


def threads():
    return 1
