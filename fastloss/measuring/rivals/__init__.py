"""One table of who else can compute what: output -> registry loss -> rival -> prepare.

A rival is one module, with_RIVAL.py (what that is made of stands beside it), each with

    NAME                 as it stands in tables
    PREPARE              {output: {loss: prepare}}, where prepare(y, p) -> function of no arguments -> the output's parts: a float
                         for "cost", arrays for "loss", "gradient" and "hessian", a tuple for several of them
    DTYPES               that it takes; float32 and float64 if it does not say
    GRADIENT_PER_SAMPLE  True where the gradient of "cost_gradient" is left undivided by n, as the library's own users have it
    version()            of the library
    ON_ONE_THREAD        True if it has one thread whatever it is told, or the losses of which that holds; optional
    threads()            that it runs all others on, after having been told environment.threads(): asked of the library
    unavailable()        why it cannot run here although it is installed, or None; optional

What a user would do once (tensors over the arrays, buffers, objects, compilation) is done by prepare, outside the timing. Written as
well as a good user of that library writes it; a loss that the library has no good way for is absent. Parameters are those of
cases.PARAMETERS.

The table is checked when it is made: a loss of the registry without at least NumPy, or a rival of a loss that the registry does not
have, is a LookupError, so that no benchmark quietly leaves a loss out.
"""

import functools
import importlib
import importlib.util

from fastloss.losses import REGISTRY

OUTPUTS = ("cost", "cost_gradient", "loss", "gradient", "loss_gradient", "gradient_hessian", "loss_gradient_hessian")

# rival: (its module here, what it imports, what pip calls that)
MODULES = {
    "numpy": ("with_numpy", "numpy", "numpy"),
    "numexpr": ("with_numexpr", "numexpr", "numexpr"),
    "numba": ("with_numba", "numba", "numba"),
    "sklearn": ("with_sklearn", "sklearn", "scikit-learn"),
    "torch": ("with_torch", "torch", "torch"),
    "torch.compile": ("with_torch_compile", "torch", "torch"),
    "jax": ("with_jax", "jax", "jax"),
}


@functools.cache
def _found(name):
    """(module, None), or (None, why there is none)."""
    module, package, pip = MODULES[name]
    if importlib.util.find_spec(package) is None:
        return None, f"not installed (pip install {pip})"
    try:
        library = importlib.import_module(f"{__name__}.{module}")
        why = getattr(library, "unavailable", lambda: None)()
    except Exception as error:  # noqa: BLE001 - a library that does not load is not ours to mend
        library, why = None, reason(error)
    return (None, why) if why else (library, None)


def reason(error):
    """An exception in one line, as the reason why a rival was not timed."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'without a message'}"[:300]


def library(name):
    """The module of a rival that can run here."""
    module, why = _found(name)
    if module is None:
        raise LookupError(f"{name}: {why}")
    return module


def libraries(names=None):
    """{rival: its module} of those that can run here, of all or of ``names``. Imports them."""
    return {name: _found(name)[0] for name in (MODULES if names is None else names) if _found(name)[0] is not None}


def missing(names=None):
    """{rival: why it cannot run here}, of all or of ``names``."""
    return {name: _found(name)[1] for name in (MODULES if names is None else names) if _found(name)[1] is not None}


def dtypes(name):
    """Names of the dtypes that a rival takes."""
    return getattr(library(name), "DTYPES", ("float32", "float64"))


def on_one_thread(name, loss):
    """Whether a rival computes this loss on one thread, whatever it is told."""
    which = getattr(library(name), "ON_ONE_THREAD", ())
    return which is True or loss in which


def row(output, loss, names=None):
    """{rival: prepare} for one loss, of the rivals (all, or ``names``) that can run here and that have it."""
    of = {name: losses_of(name, output) for name in libraries(names)}
    return {name: losses[loss] for name, losses in of.items() if loss in losses}


def table(output):
    """{loss: {rival: prepare}} of all rivals that can run here, in the registry's order, every loss that has a rival."""
    rows = {loss: row(output, loss) for loss in REGISTRY}
    return {loss: found for loss, found in rows.items() if found}


@functools.cache
def losses_of(name, output):
    """{loss: prepare} of one rival that can run here."""
    prepare = library(name).PREPARE
    if unknown := sorted(set(prepare) - set(OUTPUTS)):
        raise LookupError(f"{name} has rivals for outputs that there are not: {', '.join(unknown)}")
    losses = prepare.get(output, {})
    if unknown := sorted(set(losses) - set(REGISTRY)):
        raise LookupError(f"{name} has rivals for losses that the registry does not have: {', '.join(unknown)}")
    if (name, output) == ("numpy", "cost") and (without := [loss for loss in REGISTRY if loss not in losses]):
        raise LookupError(f"missing rivals for {', '.join(without)}: write at least the expression of measuring/rivals/numpy_*.py")
    return losses
