"""Derivatives of formulas, as formulas of the same subset.

A formula is differentiated piece by piece: each of its conditions (min and max are two) is held to be true, then false, and the two
derivatives are chosen between as the formula chooses. Statements and their derivatives stand side by side, so that what value and
gradient have in common is computed once; helpers get helpers. The rules below stay within the stable vocabulary: log1p, expm1, softplus
and their like are never spelled out as what they mean.

That is why no computer algebra does this. SymPy sees real numbers, not roundings: it multiplies 3 * (p - y) out to 3 * p - 3 * y, which
cancels, before anything is asked of it, and takes log1p(x) for log(1 + x). Here only what loses nothing is simplified: zeros, ones and
numbers that multiply; equal terms of a sum; signs: |e| sign(e) is e, and sign(e)**2 is 1. The tests hold the results against SymPy's.
"""

import ast
import itertools

from fastloss.compiler.algebra import (
    ONE,
    ZERO,
    canonical,
    either,
    expression,
    minus,
    name,
    number,
    over,
    parts,
    placed,
    plus,
    product,
    replaced,
    same,
)
from fastloss.compiler.subset import VOCABULARY
from fastloss.compiler.texts import Text

MADE = "<fastloss's derivatives>"
HELPERS = {  # that derivatives call: text, and the rule for its own derivative by x
    "sign": ("def sign(x):\n    return 1.0 if x > 0.0 else (-1.0 if x < 0.0 else x)", "0.0"),
    "sech_squared": (
        "def sech_squared(x):\n    d = decay(2.0 * x)\n    return 4.0 * d / ((1.0 + d) * (1.0 + d))",
        "-2.0 * (tanh(x) * sech_squared(x))",
    ),
}
FACTORS = {  # f'(x), which multiplies the derivative of x
    "exp": "exp(x)", "expm1": "exp(x)", "tanh": "sech_squared(x)", "sigmoid": "sigmoid(x) * sigmoid(-x)", "softplus": "sigmoid(x)",
    "decay": "-decay(x)", "abs": "1.0", "log1pmx": "-(x / (1.0 + x))", "expm1mx": "expm1(x)",
    **{name: rule for name, (_, rule) in HELPERS.items()},
}  # fmt: skip
# kl_div's slope by b: 1 - a / b without cancelling, and 1 where an a of 0 meets a b that vanished, or a b is infinite
RELATIVE = "def relative(a, b):\n    return 1.0 if a <= 1e-20 * b and a - a == 0.0 else (b - a) / b"
BEND = "def bend(a, b):\n    return a / b / b if a != 0.0 or b != b else 0.0"  # the slope of that by b
WORDS = {*VOCABULARY, *HELPERS, "relative", "bend"}  # that mean something in what is derived
DIVISORS = {"log": "x", "log1p": "1.0 + x", "sqrt": "2.0 * sqrt(x)"}  # 1 / f'(x)


class Piece(ast.NodeTransformer):
    """An expression where conditions are decided: of IfExp, min and max the one that counts."""

    def __init__(self, derivative):
        self.of = derivative

    def decide(self, test, a, b):
        if not self.of.split:
            return None
        if isinstance(test, ast.BoolOp):
            first, *others = test.values
            rest = ast.BoolOp(test.op, others) if others[1:] else others[0]
            inner = ast.IfExp(rest, a, b)
            return self.decide(first, inner, b) if isinstance(test.op, ast.And) else self.decide(first, a, inner)
        key, truth = canonical(test)
        if key not in self.of.decided:
            raise Undecided(test)
        return self.visit(a if self.of.decided[key] == truth else b)

    def visit_Name(self, node):  # noqa: N802
        return self.of.equal.get(node.id, node)

    def visit_BinOp(self, node):  # noqa: N802 - of q * (a - 0.5 * q) where q is a: a - 0.5 * a
        self.generic_visit(node)
        match node:
            case ast.BinOp(left=a, op=ast.Add(), right=b):
                return plus(a, b)
            case ast.BinOp(left=a, op=ast.Sub(), right=b):
                return plus(a, minus(b))
        return node

    def visit_IfExp(self, node):  # noqa: N802
        return self.decide(node.test, node.body, node.orelse) or self.generic_visit(node)

    def visit_Call(self, node):  # noqa: N802
        self.generic_visit(node)
        if node.func.id in ("min", "max") and node.func.id not in self.of.formula.helpers and self.of.split:
            a, b = node.args
            test = ast.Compare(b, [ast.Lt() if node.func.id == "min" else ast.Gt()], [a])
            return self.decide(test, b, a)
        return node


PIECES = 64  # more conditions than make so many are not told apart: each is then differentiated where it stands


class Undecided(Exception):  # noqa: N818 - no error: a question
    """A condition on which the piece at hand depends."""

    def __init__(self, test):
        self.test = test


class Derivative:
    """Of a formula, by one of its arguments: ``statements`` and ``result``."""

    def __init__(self, formula, by):
        self.formula, self.by, self.helpers = formula, by, {}
        self.taken = {*formula.arguments, *(name for name, _ in formula.assignments), *formula.helpers, *WORDS}
        self.statements, self.values, self.held = [], {}, {}  # held: by what it is, the name of a value
        self.whole = self.flat(formula, [name(argument) for argument in formula.arguments])
        self.formulas = list(self.statements)
        for self.split in (True, False):
            self.pieces = 0
            self.result = self.piece({})
            if self.result is not None:
                break

    def flat(self, formula, given, prefix=""):
        """The result of a formula of these arguments; its statements and its helpers' are among ``statements``, each name once."""
        by = dict(zip(formula.arguments, given, strict=True))
        for target, value in formula.assignments:
            value = self.place(formula, by, value)
            by[target] = name(target if not prefix and target not in by else self.new(prefix + target))
            self.put(by[target].id, value)
        return self.place(formula, by, formula.result)

    def place(self, formula, by, node):
        match node:
            case ast.Name(id=word):
                return by.get(word, node)
            case ast.Call(func=ast.Name(id=word), args=given):
                given = [self.place(formula, by, one) for one in given]
                if word in formula.helpers and formula.helpers[word].file != MADE:
                    return self.flat(formula.helpers[word], list(map(self.bound, given)), f"{word}_")
                return ast.Call(name(word), given, [])
        fields = {key: self.placed_in(formula, by, value) for key, value in ast.iter_fields(node)}
        return type(node)(**fields)

    def placed_in(self, formula, by, value):
        if isinstance(value, list):
            return [self.place(formula, by, one) if isinstance(one, ast.expr) else one for one in value]
        return self.place(formula, by, value) if isinstance(value, ast.expr) else value

    def piece(self, decided):
        """The derivative where some conditions are ``decided``, with a choice for each of the others; None: there are too many."""
        self.pieces += 1
        if self.pieces > 2 * PIECES and self.split:
            return None
        self.decided, self.equal = decided, {}
        self.known = {argument: ONE if argument == self.by else ZERO for argument in self.formula.arguments}  # name: its derivative
        try:
            for target, value in self.formulas:
                value = self.chosen(value)
                slope = self.of(value)
                plain = any(map(self.is_sign, ast.walk(slope)))  # signs stay in sight, so that they meet what they cancel with
                self.known[target] = slope if plain else self.bound(slope, "d_" + target)
                if isinstance(value, ast.Name) or parts(value)[1] is None:
                    self.equal[target] = value
            return self.of(self.chosen(self.whole))
        except Undecided as question:
            key, so = canonical(question.test)
            a, b = (self.piece(decided | {key: truth}) for truth in (so, not so))
            return None if a is None or b is None else either(question.test, a, b)

    def chosen(self, node):
        """An expression in the piece at hand: without conditions, and with names for which it knows better."""
        return Piece(self).visit(ast.parse(ast.unparse(node), mode="eval").body)

    def new(self, wanted):
        """A name like the one wanted that is not taken."""
        found = next(word for word in itertools.chain([wanted], (f"{wanted}_{k}" for k in itertools.count(2))) if word not in self.taken)
        self.taken.add(found)
        return found

    def bound(self, node, wanted="u"):
        """A node by a name, so that it can be used twice."""
        if isinstance(node, ast.Name) or parts(node)[1] is None:
            return node
        key = ast.dump(node)
        if key not in self.held:
            self.put(self.new(wanted), node)
        return name(self.held[key])

    def put(self, target, value):
        self.statements.append((target, value))
        self.values[target] = value
        self.held.setdefault(ast.dump(value), target)

    def rule_of_sign(self, x):
        """sign(x), which a condition may have decided."""
        key, truth = canonical(ast.Compare(x, [ast.Gt()], [ZERO]))
        return number(1.0 if self.decided[key] == truth else -1.0) if key in self.decided else self.rule("sign(x)", x)

    def is_sign(self, node, of=None):
        match node:
            case ast.Call(func=ast.Name(id="sign"), args=[x]):
                return of is None or same(x, of)
        return False

    def is_size(self, node, of):
        """Is it the absolute value of x?"""
        if isinstance(node, ast.Name):
            node = self.values.get(node.id, node)
        match node:
            case ast.Call(func=ast.Name(id="abs"), args=[x]):
                return same(self.bound(x), of)
        return False

    def times(self, a, b):
        for one, other in ((a, b), (b, a)):
            x = next((node.args[0] for node in ast.walk(one) if self.is_sign(node)), None)
            if x is None or (without := replaced(one, lambda node, x=x: self.is_sign(node, x), ONE)) is None:
                continue
            squared = replaced(other, lambda node, x=x: self.is_sign(node, x), ONE)
            if squared:
                return self.times(without, squared)
            if (free := replaced(other, lambda node, x=x: self.is_size(node, x), ONE)) is not None:
                if isinstance(parts(one)[1], ast.BinOp) and isinstance(parts(one)[1].op, ast.Div):  # x takes the place of what is divided
                    return self.times(replaced(one, lambda node, x=x: self.is_sign(node, x), x), free)
                return self.times(without, replaced(other, lambda node, x=x: self.is_size(node, x), x))
        return product(a, b)

    def of(self, node):
        """The derivative of an expression."""
        match node:
            case ast.Constant():
                return ZERO
            case ast.Name(id=word):
                return self.known.get(word, ZERO)
            case ast.UnaryOp(operand=operand):
                return minus(self.of(operand))
            case ast.BinOp(left=a, op=ast.Add() | ast.Sub() as op, right=b):
                return plus(self.of(a), self.of(b) if isinstance(op, ast.Add) else minus(self.of(b)))
            case ast.BinOp(left=a, op=ast.Mult(), right=b):
                if same(a, b):
                    return self.times(number(2.0), self.times(a, self.of(a)))
                return plus(self.times(self.of(a), b), self.times(a, self.of(b)))
            case ast.BinOp(left=a, op=ast.Div(), right=b):
                da, db = self.of(a), self.of(b)
                if same(db, ZERO):
                    return over(da, b)
                whole = node if any(map(self.is_sign, ast.walk(node))) else self.bound(node)
                return over(plus(da, minus(self.times(whole, db))), b)
            case ast.IfExp(test=test, body=a, orelse=b):
                return either(test, self.of(a), self.of(b))
            case ast.Call(func=ast.Name(id=word), args=given):
                return self.call(node, word, given)

    def call(self, node, word, given):
        slopes = [self.of(one) for one in given]
        if all(same(slope, ZERO) for slope in slopes):
            return ZERO
        if word in FACTORS:
            x = self.bound(given[0])
            sign = self.rule_of_sign(x) if word in ("abs", "decay") else ONE  # decay(x) is exp(-|x|)
            return self.times(self.times(sign, ONE if word == "abs" else self.rule(FACTORS[word], x)), slopes[0])
        if word in DIVISORS:
            return over(slopes[0], self.rule(DIVISORS[word], given[0]))
        a, b = given
        da, db = slopes
        match word:
            case "min" | "max":
                op = ast.Lt() if word == "min" else ast.Gt()
                return either(ast.Compare(self.bound(b), [op], [self.bound(a)]), db, da)
            case "copysign":
                a, b = (ast.Call(name("copysign"), [ONE, one], []) for one in (a, b))
                return self.times(self.times(a, b), da)
            case "pow":
                smaller = plus(b, number(-1.0))
                power = ONE if same(smaller, ZERO) else a if same(smaller, ONE) else ast.Call(name("pow"), [a, smaller], [])
                return plus(self.times(self.times(b, power), da), self.times(self.times(ast.Call(name("log"), [a], []), node), db))
            case "kl_div":
                self.helpers["relative"] = Text.made(RELATIVE, MADE)
                return plus(*(self.times(ast.Call(name(slope), given, []), d) for slope, d in (("log_ratio", da), ("relative", db))))
            case "relative":
                self.helpers["bend"] = Text.made(BEND, MADE)
                return plus(self.times(ast.Call(name("bend"), given, []), db), minus(over(da, b)))
            case "log_ratio":
                return plus(over(da, a), minus(over(db, b)))
            case "log1p_difference":
                return plus(over(da, plus(ONE, a)), minus(over(db, plus(ONE, b))))
            case "exp_product":
                return self.times(plus(self.times(da, b), self.times(a, db)), node)

    def rule(self, text, x):
        for word, (helper, _) in HELPERS.items():
            if f"{word}(" in text:
                self.helpers[word] = Text.made(helper, MADE)
        return placed(expression(text), {"x": x})

    def used(self):
        """The statements that the result needs."""
        needed, kept = {node.id for node in ast.walk(self.result) if isinstance(node, ast.Name)}, []
        for target, value in reversed(self.statements):
            if target in needed:
                kept.append((target, value))
                needed |= {node.id for node in ast.walk(value) if isinstance(node, ast.Name)}
        return kept[::-1]


def derived(formula, by, called):
    """(the Text of a formula's derivative by an argument, the number that it is or None)."""
    slope = Derivative(formula, by)
    body = [f"    {target} = {ast.unparse(value)}" for target, value in slope.used()] + [f"    return {ast.unparse(slope.result)}"]
    helpers = {word: helper.source for word, helper in formula.helpers.items()} | slope.helpers
    text = Text.made("\n".join([f"def {called}({', '.join(formula.arguments)}):", *body]), MADE, 1, helpers)
    return text, slope.result if isinstance(slope.result, ast.Constant) else None


def derivative(formula, called):
    """The Text of a formula's derivative by its second argument, the prediction; ``called``: gradient or hessian."""
    return derived(formula, formula.arguments[1], called)[0]


def guarded(text):
    """The Text of a formula that is NaN where y or p is, which conditions may hide: a gradient that it was derived for."""
    if not any(isinstance(node, ast.IfExp) for node in ast.walk(text.tree)):
        return text
    y, p = (argument.arg for argument in text.tree.args.args[:2])
    tree = ast.parse(text.text).body[0]
    tree.body[-1] = ast.Return(ast.IfExp(expression(f"{y} == {y} and {p} == {p}"), tree.body[-1].value, expression(f"{y} + {p}")))
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call)}
    helpers = {word: text.helper(word) for word in called if text.helper(word)}
    return Text.made(ast.unparse(ast.fix_missing_locations(tree)), MADE, 1, helpers)
