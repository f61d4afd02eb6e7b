"""What modules say of names that they have not: what is meant, perhaps, and where the host has it."""

from difflib import get_close_matches


def absent(module, names, rest):
    """A module's __getattr__: an AttributeError for every name. rest: what there is, and where others are."""

    def __getattr__(name):  # noqa: N807
        said = f"module {module!r} has no attribute {name!r}"
        if not name.startswith("_"):
            near = get_close_matches(name, names, n=1, cutoff=0.75)
            said += f"; did you mean {near[0]!r}?" if near else f": {rest}"
        raise AttributeError(said)

    return __getattr__
