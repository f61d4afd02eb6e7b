"""rowspec.Pairs for the vectors of rows_numba.py: each class that is a target in any lane against all classes."""

import numba
from llvmlite import ir
from numba import types

from fastloss.compiler.llvm import Condition
from fastloss.compiler.subset import Formula
from fastloss.compiler.vecmath import NAN
from fastloss.losses.margins import slack


def term(_, short, target, other):
    """What a pair adds: ``short`` unless that is <= 0, or it is none."""
    return ((short <= 0.0) | target.equals(0.0) | other.compare("!=", 0.0)).select(0.0, short)


def any_target(vocabulary, target):
    builder, bits = vocabulary.builder, ir.IntType(vocabulary.lanes)
    which = builder.bitcast(target.compare("!=", 0.0).value, bits)
    return Condition(builder, builder.icmp_unsigned("!=", which, ir.Constant(bits, 0)))


def pairs(machine):
    """``_pairs`` of rows_python.py for a rows_numba.Machine."""
    names = ("get", "put", "zero", "nothing", "plus", "rounded")
    get, put, zero, nothing, plus, rounded = (machine.space["_" + name] for name in names)
    real, formula = machine.real, Formula(slack)
    short = machine.formula(formula, [None] * len(formula.arguments))
    added = machine.function(3, real, term)
    add = machine.function(2, real, lambda _, a, b: a + b)
    less = machine.function(2, real, lambda _, a, b: a - b)
    one_if = machine.function(1, real, lambda _, a: (a > 0.0).select(a.made(a.of(1.0)), 0.0))
    any_of = machine.function(1, types.boolean, any_target)
    # NaN of two numbers if one of them is, else what was there before
    spoiled = machine.function(3, real, lambda _, before, a, b: (a.compare("!=", a) | b.compare("!=", b)).select(NAN, before))

    @numba.njit(error_model="numpy")
    def found(z, y, i, classes, margin, kept, index):
        total, lost, nan = nothing(), nothing(), zero()
        for j in range(classes):
            nan = spoiled(nan, get(z, i, j), get(y, i, j))
            if index >= 0:
                put(kept, index, j, zero())
        for j in range(classes):
            own, target, hits = get(z, i, j), get(y, i, j), zero()
            if not any_of(target):
                continue
            for k in range(classes):
                one = added(short(get(z, i, k), own, margin), target, get(y, i, k))
                total, lost = plus(total, lost, one)
                if index >= 0:
                    hits = add(hits, one_if(one))
                    put(kept, index, k, add(get(kept, index, k), one_if(one)))
            if index >= 0:
                put(kept, index, j, less(get(kept, index, j), hits))
        hinges = add(rounded(total, lost), nan)
        if index >= 0:
            for j in range(classes):
                put(kept, index, j, spoiled(get(kept, index, j), hinges, hinges))
        return hinges

    return found
