"""What the backends in Python share: slabs, stretches of the data that are loaded, computed and stored in one go."""

import numpy as np

from fastloss.engine.dtypes import BFLOAT16

PARTS = {"l": "value", "g": "gradient", "h": "hessian"}


class Bound:
    """A loss with its parameters and checks, for one compute dtype: whatever its backend's bind keeps."""

    def __init__(self, **fields):
        self.__dict__.update(fields)


def load(operand, start, stop, dtype):
    """Samples start <= i < stop of an operand in the dtype that is computed in."""
    array, code, _ = operand
    if array.ndim == 0:
        return np.repeat(load((array[None], code, None), 0, 1, dtype), stop - start)
    part = array[start:stop]
    if code == BFLOAT16:
        part = (part.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return part.astype(dtype)


def store(output, start, stop, values):
    """Write values to samples start <= i < stop of an output, in its dtype."""
    if output[0].ndim == 0:
        output[0][()] = values[0]
    else:
        output[0][start:stop] = values
