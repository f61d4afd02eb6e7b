"""Runs formulas in plain Python: slow, in float64, with C's edges (1 / 0 is infinite, not an exception). Also their text for Numba."""

import ast
import copy
import functools
import math
import types

from fastloss.compiler.subset import BUILTINS, formulas
from fastloss.losses import functions


def divide(a, b):
    """a / b as IEEE arithmetic has it."""
    if b != 0.0:
        return a / b
    if a == 0.0 or a != a or b != b:
        return math.nan
    return math.copysign(math.inf, math.copysign(1.0, a) * math.copysign(1.0, b))


class Rewrite(ast.NodeTransformer):
    """abs, min, max become the vocabulary's own; division, if asked for, a function that does not raise."""

    def __init__(self, own_division):
        self.own_division = own_division

    def visit_Call(self, node):  # noqa: N802 - ast's own naming
        self.generic_visit(node)
        node.func.id = BUILTINS.get(node.func.id, node.func.id)
        return node

    def visit_BinOp(self, node):  # noqa: N802
        self.generic_visit(node)
        if self.own_division and isinstance(node.op, ast.Div):
            return ast.Call(ast.Name("divide", ast.Load()), [node.left, node.right], [])
        return node


@functools.cache
def vocabulary(wrap):
    """The functions and constants that formulas see, each function through ``wrap`` and seeing the wrapped others."""
    space = {name: value for name, value in vars(functions).items() if isinstance(value, float)} | {"math": math}
    for name, function in vars(functions).items():
        if isinstance(function, types.FunctionType):
            space[name] = wrap(types.FunctionType(function.__code__, space, name))
    return space


def unchanged(function):
    return function


def executable(formula, wrap=unchanged, own_division=True):
    """The formula as a function of floats; helpers and vocabulary go through ``wrap`` (Numba's njit, say) as well."""
    space = vocabulary(wrap) | ({"divide": divide} if own_division else {})
    space |= {name: executable(helper, wrap, own_division) for name, helper in formula.helpers.items()}
    tree = Rewrite(own_division).visit(copy.deepcopy(formula.tree))
    tree.decorator_list = []
    module = ast.fix_missing_locations(ast.Module([tree], []))
    exec(compile(module, formula.file, "exec"), space)  # our own formulas, checked to be within the subset
    return wrap(space[formula.name])


def scalar_functions(definition):
    """{"value": f, "gradient": f, "hessian": f} of floats, total: no exception for any argument."""
    return {part: executable(formula) for part, formula in formulas(definition).items()}
