"""What a loss is: one file per family, one class per loss. See spec.py for the vocabulary and regression.py for the model to follow."""

from difflib import get_close_matches  # noqa: I001

from fastloss.losses import (  # noqa: F401 - entering the registry, in the order of the reference
    binary, counts, multiclass, softmax, margins, probabilities, ranks, distributions, divergences, distances, multilabel, overlap,
    regression, rowfunctions,
)  # fmt: skip
from fastloss.losses.rowspec import ROW_FUNCTIONS, ROW_REGISTRY  # noqa: F401 - for the compiler and the engine
from fastloss.losses.spec import ALIASES, OWN, REGISTRY, SUM_REGISTRY, Definition


def find(name: str) -> Definition:
    """The definition behind a name or alias; an unknown one is a ValueError that shows the nearest."""
    key = name.strip().lower().replace("-", "_")
    if key in OWN:
        return OWN[key]
    if key not in ALIASES:
        near = get_close_matches(key, [*ALIASES, *OWN], n=3, cutoff=0.5)
        hint = f" did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise ValueError(f"unknown loss {name!r};{hint} `fastloss losses` lists them all")
    return next(registry[ALIASES[key]] for registry in (REGISTRY, ROW_REGISTRY, SUM_REGISTRY) if ALIASES[key] in registry)


def definitions():
    """All definitions of the package, of single predictions, of rows and of costs that are no means, in the order of the reference."""
    return [*REGISTRY.values(), *ROW_REGISTRY.values(), *SUM_REGISTRY.values()]
