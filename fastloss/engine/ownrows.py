"""Losses of rows that users define: programs as those of losses/multiclass.py, which Numba compiles; a pass of their own beside the
compiled kernels, whose driver of rows takes only what it was built with.

A gradient must be given where there is to be one, and is checked, as is a Hessian, against differences of the value and of the gradient.
"""

import importlib
import inspect
import pickle
import sys

import numpy as np

from fastloss.compiler.rowprogram import OUTPUT_SETS
from fastloss.compiler.rows_python import row_plan
from fastloss.compiler.subset import FormulaError
from fastloss.engine import backends, inputs, rows, rowslabs, specs
from fastloss.engine.owncheck import choices, known, points, wrong
from fastloss.engine.rowlosses import RowLoss
from fastloss.losses.rowspec import LABELS, RowDefinition, Step

CLASSES, SAMPLES = 3, 5


class OwnRowDefinition(RowDefinition):
    """A loss of rows of the user's own."""

    own = True

    def __init__(self, body, name, place, **facts):
        super().__init__(body, family="own", base=None, root=False, **facts)
        self.name, self.place, self.qualname, self.derived = name or self.name, place, body.__qualname__, ()

    @property
    def origin(self):
        return self.module, self.qualname

    def __reduce__(self):
        """By module and name: a program is not taken along as formulas are."""
        made = getattr(sys.modules.get(self.module), self.qualname, None)
        if self.module == "__main__" or getattr(made, "definition", None) is not self:
            raise pickle.PicklingError(
                f"`{self.name}`, a loss of rows, is pickled by the name of its module, and {self.module}.{self.qualname} is nothing that "
                "another process can import: define it at the top of a module"
            )
        return _imported, (self.module, self.qualname)


def _imported(module, qualname):
    return getattr(importlib.import_module(module), qualname).definition


def backend():
    """What runs them: the process's backend; in place of compiled kernels what Numba makes of them, with compiled sums."""
    current = backends.current()
    return Beside(current.module) if current.name == "cython" else current


class Beside:
    """A backend of rows by Numba, beside compiled kernels that do the exact sums: Numba would take seconds to compile those."""

    name = "beside"
    bind_rows = staticmethod(rowslabs.bind)

    def __init__(self, module):
        self.module = module

    def run_rows(self, bounds, n, classes, z, y, w, loss, outputs, output_set, summed, skip_nan, scale, threads, by_label=False):
        try:
            from fastloss.engine.rows_numba import kernel, lanes_of
        except ImportError as error:
            raise ImportError(f'own losses are compiled by Numba, which is not installed: pip install "fastloss[own]" ({error})') from error
        job = rowslabs.RowJob(bounds, n, classes, z, y, w, loss, outputs, output_set, summed, skip_nan, scale, threads, by_label,
                              lanes=lanes_of(bounds[0].dtype), kernel=kernel, sums=lambda: CompiledSums(self.module))  # fmt: skip
        job.run(min(threads, -(-n // job.slab)))
        return job.results()


class CompiledSums:
    """What a thread adds up, as rows_numba.Sums: the sum of 1 * term, of which the compiled kernels have one."""

    def __init__(self, module):
        anything = (0, 0.0, 0.0)
        self.run, self.bound = module.run, module.Bound("true_positive", True, (), anything, anything, False)
        self.sums, self.first = [0] * 5, -1

    def add(self, terms, weights, start):
        if not len(terms):
            return
        *sums, first = self.tally(terms)
        if weights is not None and sums[2]:
            lost = np.ascontiguousarray(weights[np.isnan(terms)])
            sums[1] = self.tally(lost)[0]
        self.sums = [a + b for a, b in zip(self.sums, sums, strict=True)]
        if self.first < 0 <= first:
            self.first = start + first

    def tally(self, terms):
        one, terms = inputs.describe(np.ones(())), inputs.describe(terms)
        return self.run([self.bound], len(terms[0]), one, terms, None, (None,) * 3, 0, True, False, 1.0, 1)[2][0]

    def found(self):
        return *self.sums, self.first


def run(losses, *arguments, **options):
    """As rows.run, of own losses."""
    return rows.run(losses, *arguments, backend=backend(), **options)


class OwnRowLoss(RowLoss):
    __doc__ = RowLoss.__doc__
    __slots__ = ()
    run = staticmethod(run)

    @property
    def backend(self):
        return backend()


def defined(body, name, facts, where):
    """The OwnRowDefinition of a class, its program checked; nothing is registered yet."""
    if not inspect.isfunction(vars(body).get("value")):
        where.refuse(None, "has no `value`: a function of the row that returns its loss")
    functions = [value.function for value in vars(body).values() if isinstance(value, Step) and value.function]
    functions += [value for value in vars(body).values() if inspect.isfunction(value)]
    weights = any({"c", "c_label"} & {*inspect.signature(function).parameters} for function in functions)
    definition = OwnRowDefinition(body, name, f"{where.file}:{where.line}", weights=weights, **facts)
    for outputs, parts in OUTPUT_SETS.items():
        if all(hasattr(body, part) for part in parts):
            try:
                row_plan(definition, outputs, ())
            except FormulaError:
                raise
            except (TypeError, KeyError, AttributeError) as error:
                where.refuse(None, f"is no program of rows: {error}")
    return definition


def check(definition):
    """FormulaError if the gradient is not that of the value, or the Hessian not that of the gradient."""
    rng = np.random.default_rng(0)
    scores, compared = np.array(points(definition.prediction)), {"gradient": [], "hessian": []}
    for numbers in choices(definition.parameters):
        loss = specs.class_of(definition)(**_accepted(definition, numbers))
        for _ in range(SAMPLES):
            z = rng.choice(scores, CLASSES) + (rng.random(CLASSES) - 0.5 if definition.prediction.low == -np.inf else 0.0)
            if definition.target is LABELS:
                y = rng.integers(0, CLASSES, 1)
            else:
                y = rng.choice(np.array(points(definition.target)), (1, CLASSES)).astype(float)
            _compare(loss, y, z, compared)
    for part, found in compared.items():
        for given, wanted, (loss, y, z, j) in wrong(found):
            of = "value" if part == "gradient" else "gradient"
            at = f"y={y[0].tolist()!r}, scores {z.tolist()!r}" + "".join(f", {key}={value!r}" for key, value in loss.parameters.items())
            raise FormulaError(
                f"{definition.place}: the {part} of `{definition.name}` does not agree with differences of its {of}: at {at}, by the score "
                f"of class {j} it is {given!r}, and should be {wanted:.9g}"
            )


def _accepted(definition, numbers):
    """The parameters of numbers, as the class takes them: words where only words are taken."""
    given = {}
    for (name, parameter), number in zip(definition.parameters.items(), numbers, strict=True):
        words = [word for word in parameter.names if parameter.number(word, "float64") == number]
        given[name] = number if number in parameter.domain else words[0]
    return given


def _compare(loss, y, z, compared):
    """Add the derivatives of a row, and what differences say of them."""
    from fastloss.engine.python_backend import PythonBackend

    interpreted = PythonBackend()

    def output(which, j, at):
        row = z.copy()
        row[j] = at[0]
        wanted = tuple(k == which for k in range(3))
        _, arrays = rows.run([loss], y, row[None], None, wanted=wanted, summed=False, backend=interpreted)
        return arrays[which].ravel()[[j if which else 0]]

    for which, part in ((1, "gradient"), (2, "hessian")):
        if hasattr(loss.definition.body, part) and hasattr(loss.definition.body, "gradient"):
            for j in range(CLASSES):
                at, domain = z[j : j + 1], loss.definition.prediction
                given = output(which, j, at).tolist()
                compared[part] += known(lambda x, which=which, j=j: output(which - 1, j, x), at, given, domain, [(loss, y, z, j)])
