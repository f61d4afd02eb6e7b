"""Which backend runs the formulas, resolved once: compiled kernels if they are there, else Numba. A forced choice never falls back.

FASTLOSS_BACKEND   cython, numba or python
FASTLOSS_ISA       the compiled kernels' level, x86-64-v3 for instance; the best that the processor can run if not set

A backend is an object with
    name, isa, bits         bits is the family within which results agree to the last bit
    bind(definition, dtype, parameters, target, prediction, signed_labels) -> bound
    nanoseconds(bound, output_set, summed, weighted, outputs) -> roughly what a sample costs one thread; outputs: how many are stored
    run(bounds, n, y, p, w, outputs, output_set, summed, skip_nan, scale, threads) -> (error, weights, tallies)
    bind_rows(definition, dtype, parameters, class_weight, targets, scores, ignore) -> bound
    run_rows(bounds, n, classes, z, y, w, loss, outputs, output_set, summed, skip_nan, scale, threads, by_label=False) -> (error, tallies)
as kernels/module.pxi and, for rowwise losses, kernels/rowcalls.pxi describe them. It may have a short way for plain arrays, as
kernels/calls.pxi describes it:
    calls(narrow, wide, root), row_calls(narrow, wide, labels, weights, parts, nanoseconds) -> what Loss's methods ask first
    run_plain(calls, y, p, w, skip_nan, n_threads, means) -> what State and evaluate ask first
and, for losses of single predictions in C (kernels/capi.pxi),
    capsule(narrow, wide) -> what fastloss.h copies a fastloss_loss from
"""

import functools
import importlib.util
import os

from fastloss.engine.errors import SettingError

OUTPUT_SETS = ("l", "g", "lg", "gh", "lgh")
BACKENDS = ("cython", "numba", "python")


def compiled_levels():
    """{level: module name} of the kernels that were built and that this processor can run, the best last."""
    try:
        cpu = importlib.import_module("fastloss.kernels.cpu")
    except ImportError:
        return {}
    names = {level: f"fastloss.kernels._{level.replace('-', '_')}" for level in cpu.levels()}
    return {level: name for level, name in names.items() if importlib.util.find_spec(name)}


def _cython():
    found = compiled_levels()
    isa = os.environ.get("FASTLOSS_ISA")
    if not found:
        raise ImportError(f"FASTLOSS_BACKEND=cython, but no compiled kernels are installed. {REBUILD}")
    if isa and isa not in found:
        raise SettingError(f"FASTLOSS_ISA={isa} cannot run here; what was built and can run: {', '.join(found)}")
    level = isa or list(found)[-1]
    from fastloss.engine.cython_backend import CythonBackend

    return CythonBackend(level, importlib.import_module(found[level]))


def _numba():
    try:
        import numba  # noqa: F401
    except ImportError as error:
        raise ImportError(f'FASTLOSS_BACKEND=numba, but Numba is not installed: pip install "fastloss[numba]" ({error})') from error
    from fastloss.engine.numba_backend import NumbaBackend

    return NumbaBackend()


def _python():
    from fastloss.engine.python_backend import PythonBackend

    return PythonBackend()


REBUILD = (
    "They are built by `pip install` where a C compiler is present (Debian: apt-get install gcc libc6-dev); "
    'without one, Numba serves: pip install "fastloss[numba]". FASTLOSS_BACKEND=python runs without either, a thousand times slower.'
)


@functools.cache
def current():
    """The backend of this process."""
    forced = os.environ.get("FASTLOSS_BACKEND")
    if forced is not None and forced not in BACKENDS:
        raise SettingError(f"FASTLOSS_BACKEND must be one of {', '.join(BACKENDS)}, got {forced!r}")
    if os.environ.get("FASTLOSS_ISA") and forced in ("numba", "python"):
        raise SettingError(f"FASTLOSS_ISA chooses among compiled kernels; it says nothing with FASTLOSS_BACKEND={forced}")
    if forced:
        return {"cython": _cython, "numba": _numba, "python": _python}[forced]()
    if compiled_levels() or os.environ.get("FASTLOSS_ISA"):
        return _cython()
    if importlib.util.find_spec("numba") is None:
        raise ImportError(f"fastloss has no compiled kernels here, and Numba is not installed. {REBUILD}")
    return _numba()


def get_include():
    """The folder of fastloss.h, for compilers: ``include_dirs=[fastloss.get_include()]``. The header says what is in it. Cython code says
    ``from fastloss cimport fastloss_loss, fastloss_get, ...``, and cythonize is given the folder as include_path, too."""
    return os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "include")


def info():
    """What `fastloss info` shows: version, backend, instruction set, bit family, threads, how much memory is kept and a note if something
    is amiss."""
    from importlib.metadata import version

    import numpy

    from fastloss.engine import memory, threads

    try:
        backend, note = current(), None
        if not compiled_levels():
            note = f"the compiled kernels are missing in {os.path.dirname(os.path.dirname(__file__))}, so "
            note += f"{backend.name} serves: slower, and Numba compiles at first use, for a second or two. {REBUILD}"
    except ImportError as error:
        backend, note = None, str(error)
    return {
        "version": version("fastloss"),
        "backend": backend and backend.name,
        "isa": backend and backend.isa,
        "isa_available": list(compiled_levels()),
        "bits": backend and backend.bits,
        "threads": threads.get_num_threads(),
        "cpus_allowed": threads.allowed(),
        "keep_mb": memory.settings()[0] // 10**6,
        "numpy": numpy.__version__,
        "note": note,
    }
