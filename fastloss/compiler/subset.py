"""The subset of Python in which formulas are written, and the check that a formula stays within it.

A formula is a function of numbers that returns a number:

    statements    name = expression;  return expression (once, last);  a docstring
    expressions   names, float literals, + - * /, unary -, x if condition else y
    conditions    comparisons (not chained), and, or; only where a condition is asked for
    calls         abs, min, max, the functions of losses/functions.py, and helpers: functions of this same kind beside the class

Every formula is total: no loops, no exceptions, no state, so each sample costs the same and a whole vector of them can be computed at
once. What is outside is refused with file and line.
"""

import ast
import inspect

from fastloss.compiler.texts import FormulaError, Text
from fastloss.losses import functions

BUILTINS = {"abs": "absolute", "min": "minimum", "max": "maximum"}
VOCABULARY = {
    name: len(inspect.signature(function).parameters)
    for name, function in vars(functions).items()
    if inspect.isfunction(function) and name not in BUILTINS.values() and not name.startswith("_")
} | {"abs": 1, "min": 2, "max": 2}
CHEAP = {"abs", "min", "max", "copysign", "sqrt"}
CONSTANTS = {"INF"}
OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
COMPARISONS = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}


def remedy(node):
    """What to write instead of an expression that is outside the subset."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        return "powers are products, u * u, or pow(u, 1.5), which is NaN where u < 0"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in VOCABULARY:
        return f"functions go without their module, {node.func.attr}(...)"
    return "help(fl.loss) says what formulas are made of"


class Formula:
    """One checked function: its name, arguments, statements (``assignments`` and the ``result``), the names that its conditions test,
    the helpers it calls and where it stands. ``function``: a Python function, or a Text."""

    def __init__(self, function, callers=()):
        self.source = text = Text.of(function)
        tree, self.file, self.line, self.name = text.tree, text.file, text.line, text.tree.name
        self.callers = (*callers, (self.file, self.line, self.name))
        self.arguments = [argument.arg for argument in tree.args.args]
        self.known = set(self.arguments)
        self.helpers, self.assignments, self.transcendentals, self.tested = {}, [], 0, set()
        body = tree.body[1:] if ast.get_docstring(tree) is not None else tree.body
        if not body or not isinstance(body[-1], ast.Return) or body[-1].value is None:
            self.refuse(tree, "a formula ends with `return expression`")
        for statement in body[:-1]:
            self.statement(statement)
        self.result = body[-1].value
        self.expression(self.result)
        self.tree = tree

    def refuse(self, node, what):
        raise FormulaError(f"{self.file}:{getattr(node, 'lineno', self.line)}: in formula `{self.name}`: {what}")

    def statement(self, node):
        if not isinstance(node, ast.Assign) or len(node.targets) != 1 or not isinstance(node.targets[0], ast.Name):
            choice = "; a choice is `a if condition else b`" if isinstance(node, ast.If) else ""
            found = ast.unparse(node).splitlines()[0]
            self.refuse(node, f"only `name = expression` and a last `return` are allowed, not `{found}`{choice}")
        self.expression(node.value)
        name = node.targets[0].id
        if name in VOCABULARY or name in CONSTANTS:
            self.refuse(node, f"`{name}` is a name of the vocabulary and cannot be assigned")
        self.known.add(name)
        self.assignments.append((name, node.value))

    def expression(self, node):
        if isinstance(node, ast.Constant):
            if type(node.value) is not float:
                written = f": write {node.value}.0" if type(node.value) is int else ""
                self.refuse(node, f"numbers are written as floats, got {node.value!r}{written}")
        elif isinstance(node, ast.Name):
            if node.id not in self.known and node.id not in CONSTANTS:
                self.refuse(node, f"`{node.id}` is neither an argument nor assigned before; a number from outside is made a parameter")
        elif isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
            self.expression(node.left)
            self.expression(node.right)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            self.expression(node.operand)
        elif isinstance(node, ast.IfExp):
            self.condition(node.test)
            self.expression(node.body)
            self.expression(node.orelse)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
            self.call(node)
        else:
            self.refuse(node, f"`{ast.unparse(node)}` is outside the subset: {remedy(node)}")

    def condition(self, node):
        if isinstance(node, ast.BoolOp):
            for value in node.values:
                self.condition(value)
        elif isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in COMPARISONS:
            self.expression(node.left)
            self.expression(node.comparators[0])
            self.tested |= {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
        else:
            self.refuse(node, f"`{ast.unparse(node)}` is not a condition: a comparison, `and`, `or`")

    def call(self, node):
        name, arguments = node.func.id, len(node.args)
        if name in VOCABULARY:
            wanted = VOCABULARY[name]
            self.transcendentals += name not in CHEAP
        elif name in self.helpers or (helper := self.source.helper(name)):
            if name not in self.helpers:
                if (helper.file, helper.line, helper.tree.name) in self.callers:
                    self.refuse(node, f"`{name}` calls itself")
                self.helpers[name] = Formula(helper, self.callers)
            wanted = len(self.helpers[name].arguments)
            self.transcendentals += self.helpers[name].transcendentals
        else:
            self.refuse(node, f"`{name}` is not a function of the vocabulary: {', '.join(sorted(VOCABULARY))}")
        if arguments != wanted:
            self.refuse(node, f"`{name}` takes {wanted} arguments, got {arguments}")
        for argument in node.args:
            self.expression(argument)


def formulas(definition):
    """{"value": Formula, "gradient": Formula, "hessian": Formula} of a definition, their arguments checked against it."""
    parameters = list(definition.parameters)
    result = {}
    for part, function in definition.functions.items():
        formula = result[part] = Formula(function)
        if formula.arguments[2:] != parameters or len(formula.arguments) < 2:
            hint = "; a formula has no self" if "self" in formula.arguments else ""
            if undeclared := [name for name in formula.arguments[2:] if name not in parameters and not hint]:
                hint = f"; the class declares a parameter as {undeclared[0]} = fl.Parameter(1.0, fl.POSITIVE)"
            formula.refuse(None, f"its arguments must be y, p and the parameters {parameters} in this order, got {formula.arguments}{hint}")
    return result


def digest(definition):
    """A short fingerprint of what the compiled kernels of a definition were made from: a test sees when they are out of date."""
    import hashlib

    def text(formula):
        return ast.dump(formula.tree) + "".join(text(helper) for _, helper in sorted(formula.helpers.items()))

    whole = "".join(text(formula) for formula in formulas(definition).values()) + repr(definition.wide)
    return hashlib.sha256(whole.encode()).hexdigest()[:16]
