"""How many threads every candidate runs on, settled before the libraries load: most of them read it once, when they are imported.

Imports the standard library alone, so that it can come first.
"""

import os

from fastloss.engine import threads as engine

VARIABLES = (
    "FASTLOSS_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS",
    "NUMEXPR_MAX_THREADS", "NPROC",  # the last: XLA's, and so jax's
)  # fmt: skip

_settled = None


def settle(threads=None):
    """Tell all libraries to use so many threads (None: as many as fastloss would); returns the number.

    Works for libraries that are not imported yet; whether it did is asked before anything is timed (verify.check_threads).
    ValueError if there are not so many CPUs, on which every library would behave in its own way.
    """
    global _settled
    count = engine.default() if threads is None else threads
    if not 1 <= count <= engine.allowed():
        raise ValueError(f"the number of threads must be from 1 to {engine.allowed()}, the CPUs that this process may use; got {count}")
    for name in VARIABLES:
        os.environ[name] = str(count)
    _settled = count
    return count


def threads():
    """The number that was settled."""
    if _settled is None:
        raise RuntimeError("call fastloss.measuring.environment.settle() first, before the libraries to be compared are imported")
    return _settled
