"""Losses that users define: ``fl.loss`` on a class like those of losses/regression.py, or on a function.

What is made is a definition (owndata.py) like the package's own, beside its registry, and a class like fl.Huber. Derivatives that are not
given are derived, and all are checked (owncheck.py).
"""

import ast
import inspect

from fastloss.compiler.derive import derivative, guarded
from fastloss.compiler.subset import Formula, FormulaError, formulas
from fastloss.compiler.texts import Text
from fastloss.engine.owncheck import settle
from fastloss.engine.owndata import LONGEST, MAX_PARAMETERS, PARTS, TAKEN, OwnDefinition, class_of, is_name, one_at_a_time, registered
from fastloss.losses import ALIASES, spec
from fastloss.losses.rowspec import LABELS, Step
from fastloss.losses.spec import OWN, REAL, Interval, Labels, Parameter


def is_rows(body, target):
    """Is it a loss of rows that is defined?"""
    return target is LABELS or (isinstance(body, type) and any(isinstance(value, Step) for value in vars(body).values()))


def loss(body=None, /, *, target=REAL, prediction=REAL, name=None, aliases=(), domains=None, formula="", source="", examples=(), wide=False,
         notes=""):  # fmt: skip
    """Define a loss of your own: a decorator for a class, or for a function. Returns a class like fl.Huber.

    A class holds parameters, ``fl.Parameter(default, domain)``, and functions of one sample, (y, p, parameters...) -> number: ``value``
    and, where they are given, ``gradient`` and ``hessian``, its derivatives by p. A plain function is the value; what it has after y and p
    are the parameters, with their defaults. Formulas are made of numbers written as floats, + - * /, ``a if condition else b``, names
    assigned on the way, abs, min, max, functions of the same kind that stand beside, and of copysign, decay, exp, exp_product, expm1,
    expm1mx, kl_div, log, log1p, log1p_difference, log1pmx, log_ratio, pow, sigmoid, softplus, sqrt, tanh.

    A loss of rows of scores is a class of steps, as fastloss/rows.py has them, with target=fastloss.rows.LABELS or the domain of a row of
    targets; its gradient, where it is to have one, is given.

    target, prediction  the domains of y and of p: fl.REAL, fl.POSITIVE, fl.NONNEGATIVE, fl.UNIT, fl.ZERO_ONE, fl.SIGN, fl.Interval(0, 5)
    name, aliases       what fl.get and evaluate call it, by default the class's name in lower case: log_cosh for LogCosh
    domains             {parameter: domain} of a plain function's parameters; fl.REAL where it says nothing
    formula, source, notes, examples  for the class's help; examples, (y, p, value) or (y, p, value, {parameter: value}), are checked
    wide                float32 input is computed in float64

    What is not given is derived from the formula. Derivatives, given or derived, are compared with differences of the value over the
    domains and some values of the parameters. FormulaError (a TypeError) says where they disagree and, with file and line, what else is
    wrong: syntax that formulas have not, a parameter without a domain, a name that is taken.
    """
    facts = {"target": target, "prediction": prediction, "aliases": tuple(aliases), "formula": formula, "source": source,
             "examples": tuple(examples), "wide": bool(wide), "notes": notes}  # fmt: skip

    @one_at_a_time
    def define(body):
        if is_rows(body, target):
            return rowwise(body, name, facts)
        try:
            definition = defined(body, name, facts, domains)
            settle(definition, derive_missing)
        except RecursionError as error:
            raise FormulaError(f"{body.__module__}: `{body.__qualname__}` has expressions that are too deep; name parts of them") from error
        return class_of(registered(definition))

    return define if body is None else define(body)


def rowwise(body, name, facts):
    """The class of a loss of rows."""
    from fastloss.engine import ownrows

    if not isinstance(body, type):
        raise FormulaError(f"a loss of rows is a class of steps (fastloss/rows.py), got {body!r}")
    where = Where(body, {})
    check_parameters(body, where, rows=True)
    definition = ownrows.defined(body, name, facts, where)
    check_names(definition, where)
    ownrows.check(definition)
    return class_of(registered(definition))


def defined(body, name, facts, domains):
    """The OwnDefinition of a class or function, whose formulas are within the subset; nothing is registered yet."""
    if inspect.isfunction(body):
        body, texts = of_function(body, name, domains or {})
    elif isinstance(body, type):
        texts = {part: Text.of(function).bare() for part, function in vars(body).items() if part in PARTS and inspect.isfunction(function)}
    else:
        raise FormulaError(f"fl.loss is for a class or a function, got {body!r}")
    where = Where(body, texts)
    if "value" not in texts:
        where.refuse(None, "has no `value`: a function of (y, p, parameters...) that returns the loss of one sample")
    for part in PARTS[1:]:
        if part in vars(body) and part not in texts:
            where.refuse(part, f"has a `{part}` that is no function")
    check_parameters(body, where)
    for side in ("target", "prediction"):
        if not isinstance(facts[side], Interval | Labels):
            where.refuse(None, f"has a {side} that is no domain: fl.REAL, fl.POSITIVE, fl.UNIT, fl.Interval(0, 5) ..., got {facts[side]!r}")
    definition = OwnDefinition(body, name, texts, (), **facts)
    formulas(definition)  # within the subset
    check_names(definition, where)
    return definition


def derive_missing(definition):
    """Give a definition the derivatives that it has not."""
    given, texts = formulas(definition), {}
    if "gradient" not in given:
        given["gradient"] = Formula(derivative(given["value"], "gradient"))
        texts["gradient"] = guarded(given["gradient"].source)
    if "hessian" not in given:
        texts["hessian"] = derivative(given["gradient"], "hessian")
    definition.complete(texts)


def of_function(function, name, domains):
    """(a class, texts) that stand for a plain function."""
    text = Text.of(function, name).bare()
    if function.__name__ == "<lambda>" and not name:
        raise FormulaError(f"{text.file}:{text.line}: a lambda has no name to go by: fl.loss(lambda y, p: ..., name='mine')")
    signature = inspect.signature(function)
    found = {}
    for key, one in list(signature.parameters.items())[2:]:
        if one.default is one.empty:
            raise FormulaError(f"{text.file}:{text.line}: parameter `{key}` of `{function.__name__}` has no default")
        found[key] = Parameter(one.default, domains.get(key, REAL))
    if unknown := [key for key in domains if key not in found]:
        raise FormulaError(f"{text.file}:{text.line}: `domains` names {unknown[0]!r}, which is no parameter of `{function.__name__}`")
    space = found | {
        "value": function,
        "__doc__": function.__doc__,
        "__module__": function.__module__,
        "__qualname__": function.__qualname__,
    }
    return type(name or function.__name__, (), space), {"value": text}


class Where:
    """Finds the lines of a class's body, for errors."""

    def __init__(self, body, texts):
        self.name = body.__name__
        first = next(iter(texts.values()), None)
        code = getattr(vars(body).get("value"), "__code__", None)
        self.file, self.line = (first.file, first.line) if first else (code.co_filename, code.co_firstlineno) if code else ("?", 0)
        self.lines = {}
        try:
            lines, start = inspect.getsourcelines(body)
            tree = ast.parse(inspect.cleandoc("\n" + "".join(lines))).body[0]
        except (OSError, TypeError, SyntaxError):
            return
        self.file, self.line = inspect.getsourcefile(body) or self.file, start
        for node in tree.body if isinstance(tree, ast.ClassDef) else ():
            for target in node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else ():
                if isinstance(target, ast.Name):
                    self.lines[target.id] = node.lineno + start - 1
            if isinstance(node, ast.FunctionDef):
                self.lines[node.name] = node.lineno + start - 1

    def refuse(self, part, what):
        raise FormulaError(f"{self.file}:{self.lines.get(part, self.line)}: `{self.name}` {what}")


def check_parameters(body, where, rows=False):
    parameters = {}
    for key, value in vars(body).items():
        if isinstance(value, Parameter):
            parameters[key] = value
        elif not (rows or key.startswith("__") or key in PARTS):
            where.refuse(
                key, f"has `{key}`, which is no parameter, value, gradient or hessian; parameters are fl.Parameter(default, domain)"
            )
    if len(parameters) > MAX_PARAMETERS:
        where.refuse(None, f"has {len(parameters)} parameters; there may be {MAX_PARAMETERS}")
    for key, parameter in parameters.items():
        if not isinstance(parameter.domain, Interval | Labels | spec.Either):
            where.refuse(key, f"has a parameter `{key}` without a domain: fl.Parameter({parameter.default!r}, fl.POSITIVE), or fl.REAL")
        try:
            parameter.check(body.__name__, key, parameter.default)
        except ValueError as error:
            where.refuse(key, f"has a default outside the domain: {error}")
        if key in TAKEN or key.startswith("__"):
            where.refuse(key, f"has a parameter `{key}`, whose name means something else already")


def check_names(definition, where):
    for name in (definition.name, *definition.aliases):
        if not is_name(name):
            where.refuse(None, f"has the name {name!r}; names are lower case letters, digits and _, {LONGEST} at most")
        if name in ALIASES:
            where.refuse(
                None, f"has the name {name!r}, which belongs to the loss `{ALIASES[name]}` of fastloss; take another, or name='...'"
            )
        if name in OWN and OWN[name].origin != definition.origin:
            where.refuse(
                None, f"has the name {name!r}, which belongs to the loss defined at {OWN[name].place}; take another, or name='...'"
            )
