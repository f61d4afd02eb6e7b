"""What sections are made with: a Row per target, and the Bench that measures and remembers."""

from fastloss.compiler.subset import formulas
from fastloss.engine import backends
from fastloss.losses import REGISTRY
from fastloss.measuring import cases
from fastloss.measuring.compare import compare


class Row:
    """A target and what was measured.

    sense     "<=", "<" or ">="
    limit     None: reported without a target
    measured  None: it could not be, and ``note`` says why
    """

    def __init__(self, what, measured, sense=None, limit=None, unit="", note=""):
        self.what, self.measured, self.sense, self.limit, self.unit, self.note = what, measured, sense, limit, unit, note

    @property
    def reached(self):
        if self.limit is None or self.measured is None:
            return None
        if self.sense == "<":
            return self.measured < self.limit
        return self.measured <= self.limit if self.sense == "<=" else self.measured >= self.limit

    def cells(self):
        target = "" if self.limit is None else f"{self.sense} {self.limit:g}{self.unit}"
        measured = "not measured" if self.measured is None else f"{self.measured:.3g}{self.unit}"
        return self.what, target, measured, {None: "", True: "reached", False: "NOT reached"}[self.reached], self.note

    def as_dict(self):
        return vars(self) | {"reached": self.reached}


class Bench:
    """Sizes and times that the options ask for, and the comparisons made so far.

    n        samples of large arrays
    seconds  of each large comparison
    huge     also 2**28 samples, where sizes are tried
    """

    def __init__(self, n, seconds, huge=False):
        self.n, self.seconds, self.huge, self.comparisons = n, seconds, huge, []
        self._made = {}

    def compare(self, loss, output="cost", dtype="float32", n=None, names=(), seconds=None):
        """The Comparison with the rivals ``names`` (None: all); one that was made with at least those is taken again."""
        case = loss, output, dtype, n or self.n
        for made, found in self._made.get(case, ()):
            if made is None or (names is not None and set(names) <= set(made)):
                return found
        found = compare(*case, names=names, seconds=seconds or self.seconds, strict=False)
        self._made.setdefault(case, []).append((names, found))
        self.comparisons.append(found)
        return found


def kernel_losses(transcendentals):
    """Losses of the registry whose value has so many transcendental functions, as the compiler counts them in its formula."""
    if backends.current().name != "cython":
        raise RuntimeError(f"the targets are for the compiled kernels, and here runs {backends.current().name}")
    count = {name: formulas(definition)["value"].transcendentals for name, definition in REGISTRY.items() if not definition.root}
    return [name for name, definition in REGISTRY.items() if count[definition.base or name] == transcendentals]


def arithmetic():
    return kernel_losses(0)


def with_outputs(losses):
    """Those that are more than a cost."""
    return [name for name in losses if not cases.configured(name).definition.root]


def worst(found):
    """(value, label) with the largest value, of (value, label) pairs; and how the others stand, as text."""
    ordered = sorted(found, reverse=True)
    return ordered[0], ", ".join(f"{label} {value:.3g}" for value, label in ordered[:4])
