"""Runs formulas in plain Python: slow, in float64, with C's edges (1 / 0 is infinite, not an exception)."""

import ast
import copy
import math

from fastloss.compiler.subset import BUILTINS, VOCABULARY, formulas
from fastloss.losses import functions


def divide(a, b):
    """a / b as IEEE arithmetic has it."""
    if b != 0.0:
        return a / b
    if a == 0.0 or a != a or b != b:
        return math.nan
    return math.copysign(math.inf, math.copysign(1.0, a) * math.copysign(1.0, b))


def called(name):
    """What a function goes by in the interpreter: no name that a formula can have for a number, which would hide it."""
    return f"{name}()"


class Rewrite(ast.NodeTransformer):
    """Functions go by names of their own; division becomes one that does not raise."""

    def visit_Call(self, node):  # noqa: N802 - ast's own naming
        self.generic_visit(node)
        node.func.id = called(node.func.id)
        return node

    def visit_BinOp(self, node):  # noqa: N802
        self.generic_visit(node)
        return ast.Call(ast.Name(called("/"), ast.Load()), [node.left, node.right], []) if isinstance(node.op, ast.Div) else node


def executable(formula):
    """The formula as a function of floats."""
    space = {called(name): getattr(functions, BUILTINS.get(name, name)) for name in VOCABULARY}
    space |= {called("/"): divide, "INF": math.inf} | {called(name): executable(helper) for name, helper in formula.helpers.items()}
    tree = Rewrite().visit(copy.deepcopy(formula.tree))
    tree.decorator_list = []
    module = ast.fix_missing_locations(ast.Module([tree], []))
    exec(compile(module, formula.file, "exec"), space)  # our own formulas, checked to be within the subset
    return space[formula.name]


def scalar_functions(definition):
    """{"value": f, "gradient": f, "hessian": f} of floats, total: no exception for any argument."""
    return {part: executable(formula) for part, formula in formulas(definition).items()}
