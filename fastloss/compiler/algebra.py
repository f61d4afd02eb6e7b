"""Expressions of formulas, put together so that what is trivial goes at once, and nothing else: no rounding is added or lost but that of
numbers multiplied with each other. Nodes of ast in, nodes out.
"""

import ast


def expression(text):
    return ast.parse(text, mode="eval").body


def number(value):
    return ast.Constant(float(value)) if value >= 0 else ast.UnaryOp(ast.USub(), ast.Constant(float(-value)))


def name(word):
    return ast.Name(word, ast.Load())


ZERO, ONE = number(0.0), number(1.0)


def same(a, b):
    return ast.dump(a) == ast.dump(b)


def parts(node):
    """(number, rest) with node = number * rest; rest is None if that is all."""
    match node:
        case ast.Constant(value=value):
            return value, None
        case ast.UnaryOp(operand=operand):
            factor, rest = parts(operand)
            return -factor, rest
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            factor, rest = parts(left)
            if rest is None:
                more, rest = parts(right)
                return factor * more, rest
    return 1.0, node


def scaled(factor, rest):
    if rest is None or factor == 0.0:
        return number(factor)
    if factor < 0.0:
        return ast.UnaryOp(ast.USub(), scaled(-factor, rest))
    return rest if factor == 1.0 else ast.BinOp(number(factor), ast.Mult(), rest)


def product(a, b):
    (factor, a), (more, b) = parts(a), parts(b)
    rest = b if a is None else a if b is None else ast.BinOp(a, ast.Mult(), b)
    return scaled(factor * more, rest)


def plus(a, b):
    (factor, rest), (more, other) = parts(a), parts(b)
    if factor == 0.0 or more == 0.0:
        return b if factor == 0.0 else a
    if (rest is None) == (other is None) and (rest is None or same(rest, other)):
        return scaled(factor + more, rest)
    if more < 0.0:
        return ast.BinOp(a, ast.Sub(), scaled(-more, other))
    return ast.BinOp(b, ast.Sub(), scaled(-factor, rest)) if factor < 0.0 else ast.BinOp(a, ast.Add(), b)


def minus(a):
    factor, rest = parts(a)
    return scaled(-factor, rest)


def over(a, b):
    factor, rest = parts(a)
    divisor, other = parts(b)
    if factor == 0.0 or (divisor == 1.0 and other is None):
        return a
    if factor < 0.0:
        return minus(over(minus(a), b))
    if other is not None and divisor != 1.0:  # x / (2 f): 0.5 x / f
        return over(scaled(factor / divisor, rest), other)
    return ONE if same(a, b) else ast.BinOp(a, ast.Div(), b)


def either(test, a, b):
    return a if same(a, b) else ast.IfExp(test, a, b)


def replaced(node, match, by):
    """A product or quotient with the first factor for which match(factor) holds replaced; None if there is none."""
    if match(node):
        return by
    match node:
        case ast.UnaryOp(operand=operand):
            found = replaced(operand, match, by)
            return found and minus(found)
        case ast.BinOp(left=a, op=ast.Mult(), right=b):
            found = replaced(a, match, by)
            if found:
                return product(found, b)
            found = replaced(b, match, by)
            return found and product(a, found)
        case ast.BinOp(left=a, op=ast.Div(), right=b):
            found = replaced(a, match, by)
            return found and over(found, b)
        case ast.BinOp(left=a, op=ast.Add() | ast.Sub() as op, right=b):  # a factor of both
            found, other = replaced(a, match, by), replaced(b, match, by)
            return found and other and plus(found, other if isinstance(op, ast.Add) else minus(other))
    return None


class Placed(ast.NodeTransformer):
    """Names replaced by expressions."""

    def __init__(self, by):
        self.by = by

    def visit_Name(self, node):  # noqa: N802 - ast's own naming
        return self.by.get(node.id, node)


def placed(node, by):
    return Placed(by).visit(ast.parse(ast.unparse(node), mode="eval").body)


def canonical(test):
    """(what a comparison asks, its answer if the comparison holds): a < b, b > a and their negations b <= a, a >= b ask the same. What they
    say where a = b is the formula's, which is continuous there or has no derivative."""
    a, op, b = test.left, test.ops[0], test.comparators[0]
    if isinstance(op, ast.Eq | ast.NotEq):
        return ("=", *sorted((ast.dump(a), ast.dump(b)))), isinstance(op, ast.Eq)
    a, b = map(ast.dump, (a, b) if isinstance(op, ast.Lt | ast.LtE) else (b, a))
    return ("<", *sorted((a, b))), a < b
