"""NumPy: the plain expression with no needless temporary: what can be done in place is. One thread, as its ufuncs have."""

import numpy as np

from fastloss.measuring.rivals import numpy_classes, numpy_regression
from fastloss.measuring.rivals.numpy_gradients import COST_GRADIENT

NAME = "numpy"
GRADIENT_PER_SAMPLE = False
ON_ONE_THREAD = True
DTYPES = ("float16", "float32", "float64")
PREPARE = {"cost": numpy_regression.COST | numpy_classes.COST, "cost_gradient": COST_GRADIENT}


def version():
    return np.__version__
