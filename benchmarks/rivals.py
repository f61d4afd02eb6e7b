"""One table of who else can compute what: registry loss -> library -> prepare. See libraries/__init__.py for what a library states.

The table is checked when it is made: a loss of the registry without at least NumPy, or a rival of a loss that the registry does not have,
is a LookupError, so that no benchmark quietly leaves a loss out.
"""

import functools
import importlib
import importlib.util

from fastloss.losses import REGISTRY

MODULES = {"numpy": "with_numpy", "numba": "with_numba", "sklearn": "with_sklearn", "torch": "with_torch"}


@functools.cache
def libraries():
    """{package: its module in benchmarks.libraries}, of those that are installed."""
    installed = {name: module for name, module in MODULES.items() if importlib.util.find_spec(name) is not None}
    return {name: importlib.import_module(f"benchmarks.libraries.{module}") for name, module in installed.items()}


def missing():
    """Packages that are not installed, and so not compared with."""
    return sorted(set(MODULES) - set(libraries()))


@functools.cache
def table(kind):
    """{loss: {package: prepare}} for kind "cost" or "cost_gradient", in the registry's order, every loss that has a rival."""
    of = {name: {"cost": module.COST, "cost_gradient": module.COST_GRADIENT}[kind] for name, module in libraries().items()}
    for package, losses in of.items():
        if unknown := sorted(set(losses) - set(REGISTRY)):
            raise LookupError(f"{package} has rivals for losses that the registry does not have: {', '.join(unknown)}")
    if kind == "cost" and (without := [name for name in REGISTRY if name not in of["numpy"]]):
        raise LookupError(f"missing rivals for {', '.join(without)}: write at least the expression of libraries/with_numpy.py")
    rows = {loss: {package: losses[loss] for package, losses in of.items() if loss in losses} for loss in REGISTRY}
    return {loss: row for loss, row in rows.items() if row}
