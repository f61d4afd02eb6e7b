"""Are the derivatives of a user's loss those of its value? Asked of every one when it is defined, whoever wrote them.

The formulas run in the interpreter, in float64, and are held against differences (differences.py), which know their error; at kinks, and
where the differences are bad, nothing can be said, and where a given derivative is off by more than they allow, it is wrong.
"""

import contextlib
import hashlib
import itertools
import json
import math
import statistics
from pathlib import Path

import numpy as np

from fastloss.compiler import algebra, derive, objects
from fastloss.compiler.python import scalar_functions
from fastloss.compiler.subset import FormulaError, formulas
from fastloss.engine import differences, owndata
from fastloss.engine.differences import derivative
from fastloss.losses import functions
from fastloss.losses.spec import Integers, Interval, Labels

TRUSTED, GOOD = 1e-5, 1e-9  # differences whose error is above TRUSTED of them, and above GOOD, say nothing
ALLOWED = 1e-6  # a derivative may be off by this part of it, and by ERRORS times the estimated error
ERRORS = 50.0
CANCELLED = 1e-12  # and by this part of its median size: near 0, what is left of larger terms has few digits, but is not wrong
NOISE = 2e-16  # what a term of the formula rounds, of its size
REALS = (-31.7, -4.3, -1.37, -0.61, -0.013, 0.0, 0.011, 0.37, 1.21, 2.9, 27.3)
OFFSETS = (0.0, 0.27, -0.33, 1.9, -2.3)  # of predictions from the target
FAR = (44.0, 131.0, 690.0, 3.1e3, 1.7e6)  # predictions towards an end at infinity
NEAR = (1e-3, 1e-6)  # and so far from one that is finite
CHOICES = 3  # values of a parameter that are tried beside its default


def points(domain):
    """Some numbers of a domain."""
    if isinstance(domain, Labels):
        return list(domain.values)
    if not isinstance(domain, Interval):
        return list(domain.values)
    low, high = domain.low, domain.high
    if low == -math.inf and high == math.inf:
        found = list(REALS)
    elif high == math.inf:
        found = [low + distance for distance in (0.0, 0.0137, 0.11, 0.41, 1.0, 1.83, 5.7, 31.0)]
    elif low == -math.inf:
        found = [high - distance for distance in (31.0, 5.7, 1.83, 1.0, 0.41, 0.11, 0.0137, 0.0)]
    else:
        found = [low + share * (high - low) for share in (0.0, 0.0037, 0.083, 0.31, 0.5, 0.64, 0.93, 0.9971, 1.0)]
    if isinstance(domain, Integers):
        found = sorted({float(math.floor(one)) for one in found})
    return [one for one in found if one in domain]


def choices(parameters):
    """Lists of numbers for the parameters: the defaults, then each parameter at a few others."""
    defaults = [parameter.number(parameter.default, "float64") for parameter in parameters.values()]
    yield defaults
    for k, parameter in enumerate(parameters.values()):
        domain, default = parameter.domain, defaults[k]
        others = [parameter.number(word, "float64") for word in parameter.names if word is not parameter.default]
        if isinstance(domain, Interval) and domain.low == -math.inf and domain.high == math.inf:
            others += [0.5 * default, 1.75 * default] if default else [0.6]  # of any sign and size are few
        elif domain.low < domain.high:
            inner = [
                one for one in points(domain) if one != default and not (isinstance(domain, Interval) and one in (domain.low, domain.high))
            ]
            others += inner[:: max(1, len(inner) // CHOICES)][:CHOICES]
        for other in others:
            yield [*defaults[:k], other, *defaults[k + 1 :]]


def ends(domain):
    """Numbers of a prediction's domain towards its ends."""
    if not isinstance(domain, Interval):
        return []
    low, high = domain.low, domain.high
    below = [low + distance for distance in NEAR] if low > -math.inf else [min(high, 0.0) - distance for distance in FAR]
    above = [high - distance for distance in NEAR] if high < math.inf else [max(low, 0.0) + distance for distance in FAR]
    return [one for one in below + above if one in domain]


def settle(definition, complete):
    """Give a definition what complete(definition) gives it, its derived parts, and refuse it with FormulaError if examples or derivatives
    are wrong. What came out of the very same definition before is kept, beside the kernels (compiler/objects.py), and read instead."""
    makers = [Path(module.__file__) for module in (derive, algebra, functions, differences)] + [Path(__file__)]
    made_by = b"".join(path.read_bytes() for path in makers)
    text = json.dumps([owndata.document_of(definition), repr(definition.examples)])
    path, given = None, set(definition.texts)
    with contextlib.suppress(OSError, RuntimeError):
        path = objects.folder() / f"{definition.name}-{hashlib.sha256(made_by + text.encode()).hexdigest()[:32]}.json"
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
            found = json.loads(objects.read(path))
            definition.complete({part: owndata.text_from(found[part], f"<{part} of {definition.name}>") for part in found})
            return
    complete(definition)
    check_examples(definition)
    check_derivatives(definition)
    found = {part: owndata.text_of(formula) for part, formula in formulas(definition).items() if part not in given}
    with contextlib.suppress(OSError):
        if path is not None:
            objects.write(path, json.dumps(found).encode())


def check_derivatives(definition):
    """FormulaError if a derivative is not that of the value, at the first place that shows it."""
    formulas_ = scalar_functions(definition)
    compared = {"gradient": [], "hessian": []}
    for k, numbers in enumerate(choices(definition.parameters)):
        where = list(itertools.islice(places(definition), k % 5, None, 5 if k else 1))  # where parameters are others, at fewer places
        targets, at = zip(*where, strict=True)
        for part, of in (("gradient", "value"), ("hessian", "gradient")):

            def function(predictions, of=of, targets=targets, numbers=numbers):
                return np.array([formulas_[of](y, p, *numbers) for y, p in zip(targets, predictions.tolist(), strict=True)])

            given = [formulas_[part](y, p, *numbers) for y, p in where]
            compared[part] += known(function, at, given, definition.prediction, [(y, p, numbers) for y, p in where], targets)
    for part, found in compared.items():
        for given, wanted, at in wrong(found):
            disagrees(definition, part, *at, given, wanted)
    if not compared["gradient"]:
        raise FormulaError(
            f"{definition.place}: the value of `{definition.name}` is smooth at none of {len(list(places(definition)))} places, where its "
            "derivatives were to be checked; are its domains right?"
        )


def known(function, at, given, domain, places, targets=1.0):
    """(given, slope, its error, place) of the numbers ``at`` where differences of a vectorised function know its slope."""
    at = np.asarray(at, float)
    scale = np.maximum(np.maximum(np.abs(at), np.abs(targets)), 1.0)  # what is left of terms like p * p - y * p has their rounding
    slopes, errors = derivative(function, at, domain.low, domain.high, NOISE * scale * scale)
    far = set(ends(domain))  # there what overflows on the way to a derivative is no fault of the formula
    found = zip(at.tolist(), given, slopes.tolist(), errors.tolist(), places, strict=True)
    return [tuple(one) for x, *one in found if one[2] <= TRUSTED * abs(one[1]) + GOOD and (math.isfinite(one[0]) or x not in far)]


def wrong(found):
    """(given, wanted, place) of those (given, wanted, error of wanted, place) that are not what they should be."""
    usual = statistics.median([abs(wanted) for _, wanted, *_ in found if wanted] or [0.0])
    for given, wanted, error, at in found:
        if not abs(given - wanted) <= ALLOWED * max(abs(given), abs(wanted)) + ERRORS * error + CANCELLED * usual:
            yield given, wanted, at


def places(definition):
    """(y, p): pairs of the domains, p near y among them."""
    for y in points(definition.target):
        near = [y + offset for offset in OFFSETS]
        for p in dict.fromkeys([*near, *points(definition.prediction), *ends(definition.prediction)]):
            if p in definition.prediction:
                yield y, p


def disagrees(definition, part, y, p, numbers, given, wanted):
    text = definition.texts[part]
    derived, of = part in definition.derived, "value" if part == "gradient" else "gradient"
    where = definition.place if derived else f"{text.file}:{text.line}"
    at = ", ".join([f"y={y!r}", f"p={p!r}", *(f"{name}={number!r}" for name, number in zip(definition.parameters, numbers, strict=True))])
    which = f"the {part} that was derived for" if derived else f"the {part} of"
    remedy = f"; give a `{part}` of your own" if derived else ""
    raise FormulaError(
        f"{where}: {which} `{definition.name}` does not agree with differences of its {of}: at {at} it is {given!r}, and should be "
        f"{wanted:.9g}{remedy}"
    )


def check_examples(definition):
    """FormulaError if an example is not what the value gives."""
    value = scalar_functions(definition)["value"]
    for y, p, wanted, *others in definition.examples:
        numbers = (others[0] if others else {}).items()
        given = {name: parameter.number(parameter.default, "float64") for name, parameter in definition.parameters.items()} | dict(numbers)
        found = value(float(y), float(p), *given.values())
        if not math.isclose(found, wanted, rel_tol=1e-12, abs_tol=1e-300):
            raise FormulaError(
                f"{definition.place}: the example y={y!r}, p={p!r} of `{definition.name}` is {wanted!r}, but its value {found!r}"
            )
