"""Are the derivatives of a user's loss those of its value? Asked of every one when it is defined, whoever wrote them.

The formulas run in the interpreter, in float64. Differences on both sides, with steps that halve, are extrapolated (Richardson, Neville's
scheme) to the derivative and an estimate of its error; where the two sides differ, there is a kink, where the estimate is bad, nothing can
be said, and where a given derivative is off by more than the estimates allow, it is wrong.
"""

import contextlib
import hashlib
import itertools
import json
import math
import statistics
from pathlib import Path

from fastloss.compiler import algebra, derive, objects
from fastloss.compiler.python import scalar_functions
from fastloss.compiler.subset import FormulaError, formulas
from fastloss.engine import owndata
from fastloss.losses import functions
from fastloss.losses.spec import Integers, Interval, Labels

LEVELS = 9  # of steps, each half of the one before
TRUSTED = 1e-5  # an extrapolation whose error is estimated above this part of it says nothing
GOOD = 1e-9  # nor is it made better than this
ALLOWED = 1e-6  # a derivative may be off by this part of it, and by ERRORS times the estimated error
ERRORS = 50.0
CANCELLED = 1e-12  # and by this part of its median size: near 0, what is left of larger terms has few digits, but is not wrong
REALS = (-31.7, -4.3, -1.37, -0.61, -0.013, 0.0, 0.011, 0.37, 1.21, 2.9, 27.3)
OFFSETS = (0.0, 0.27, -0.33, 1.9, -2.3)  # of predictions from the target
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


def inside(domain, x, side):
    """How far x may move to that side, at most, for a first step."""
    reach = 0.1 * max(abs(x), 0.3)
    if isinstance(domain, Interval):
        reach = min(reach, 0.4 * (domain.high - x if side > 0 else x - domain.low))
    return reach


def one_sided(function, x, first, side):
    """(derivative, its error) of a function on one side of x."""
    here = function(x)
    if not math.isfinite(here) or not first > 1e-9 * abs(x) or first <= 0.0:
        return math.nan, math.inf
    best, error, row = math.nan, math.inf, []
    for level in range(LEVELS):
        end = x + side * first * 0.5**level
        there = function(end)
        if not math.isfinite(there):
            row = []
            continue
        new = [(there - here) / (end - x)]
        noise = 4e-16 * (abs(there) + abs(here)) / abs(end - x)
        for k, old in enumerate(row):
            factor = 2.0 ** (k + 1)
            new.append((factor * new[k] - old) / (factor - 1.0))
            guess = max(abs(new[-1] - new[-2]), abs(new[-1] - old)) + noise
            if guess < error:
                best, error = new[-1], guess
        if error <= GOOD * abs(best):
            break
        row = new
    return best, error


def slope(function, x, domain):
    """(derivative of a function at x, its error), or None where there is none or it cannot be told."""
    found = []
    for side in (1, -1):
        reach = inside(domain, x, side)
        best = math.nan, math.inf
        for share in (0.3, 0.01):  # a kink may be near
            best = min(best, one_sided(function, x, reach * share, side), key=lambda one: one[1])
            if best[1] <= 100.0 * GOOD * abs(best[0]):
                break
        found.append(best)
    (right, right_error), (left, left_error) = found
    if not (math.isfinite(right) and math.isfinite(left)):
        return None
    error = right_error + left_error
    scale = max(abs(right), abs(left))
    if abs(right - left) > 10.0 * error + TRUSTED * scale or error > TRUSTED * scale + 1e-9:
        return None
    return (right, right_error) if right_error < left_error else (left, left_error)


def settle(definition, complete):
    """Give a definition what complete(definition) gives it, its derived parts, and refuse it with FormulaError if examples or derivatives
    are wrong. What came out of the very same definition before is kept, beside the kernels (compiler/objects.py), and read instead."""
    made_by = b"".join(Path(module.__file__).read_bytes() for module in (derive, algebra, functions)) + Path(__file__).read_bytes()
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
        for y, p in itertools.islice(places(definition), k % 5, None, 5 if k else 1):  # where parameters are others, at fewer places
            for part, of in (("gradient", "value"), ("hessian", "gradient")):
                expected = slope(lambda q, of=of, y=y, numbers=numbers: formulas_[of](y, q, *numbers), p, definition.prediction)
                if expected is not None:
                    compared[part].append((formulas_[part](y, p, *numbers), *expected, (y, p, numbers)))
    for part, found in compared.items():
        for given, wanted, at in wrong(found):
            disagrees(definition, part, *at, given, wanted)
    if not compared["gradient"]:
        raise FormulaError(
            f"{definition.place}: the value of `{definition.name}` is smooth at none of {len(list(places(definition)))} places, where its "
            "derivatives were to be checked; are its domains right?"
        )


def wrong(found):
    """(given, wanted, place) of those (given, wanted, error of wanted, place) that are not what they should be."""
    usual = statistics.median([abs(wanted) for _, wanted, *_ in found]) if found else 0.0
    for given, wanted, error, at in found:
        if not abs(given - wanted) <= ALLOWED * max(abs(given), abs(wanted)) + ERRORS * error + CANCELLED * usual:
            yield given, wanted, at


def places(definition):
    """(y, p): pairs of the domains, p near y among them."""
    for y in points(definition.target):
        near = [y + offset for offset in OFFSETS]
        for p in dict.fromkeys([*near, *points(definition.prediction)]):
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
