"""Emits the block kernels as Cython: for each loss, float32 and float64, and each set of outputs, one loop over contiguous memory.

What a kernel looks like (Huber, float32, value and gradient; <float> casts left out):

    cdef inline float huber_value_f32(float y, float p, float delta) noexcept nogil: ...     # the formula, retyped
    cdef void huber_f32_lg(fl_in_f32 y, fl_in_f32 p, const double* parameters, fl_out_f32 loss, fl_out_f32 gradient,
                           fl_out_f32 hessian, Py_ssize_t n) noexcept nogil:
        for i in range(n):
            y_i = y[i]                                  # into locals before anything is stored, so that the C compiler may
            p_i = p[i]                                  # share what value and gradient have in common, one exp say
            loss[i] = huber_value_f32(y_i, p_i, delta)
            gradient[i] = huber_gradient_f32(y_i, p_i, delta)

The C compiler inlines and vectorises these. Conditions become a function that takes both sides (fl_where), since a formula is total:
no branch is left in the loop. Names in C: fl_exp is float64, fl_expf float32.
"""

import ast
import functools

from fastloss.compiler.subset import COMPARISONS, CONSTANTS, OPERATORS, VOCABULARY, digest, formulas
from fastloss.losses import REGISTRY
from fastloss.losses.spec import TERMS

REAL = {"f32": "float", "f64": "double"}
OUTPUT_SETS = {
    "l": ("value",),
    "g": ("gradient",),
    "lg": ("value", "gradient"),
    "gh": ("gradient", "hessian"),
    "lgh": ("value", "gradient", "hessian"),
}
OUTPUTS = {"value": "loss", "gradient": "gradient", "hessian": "hessian"}


formulas_of = functools.cache(formulas)


class Emitter:
    """Expressions of one formula as Cython text in one precision."""

    def __init__(self, prefix, suffix, helpers):
        self.prefix, self.suffix, self.real, self.helpers = prefix, suffix, REAL[suffix], helpers

    def expression(self, node):
        match node:
            case ast.Constant(value=value):
                return f"(<{self.real}>{value!r})"
            case ast.Name(id=name):
                return f"(<{self.real}>fl_{name.lower()})" if name in CONSTANTS else name
            case ast.BinOp(left=left, op=op, right=right):
                return f"({self.expression(left)} {OPERATORS[type(op)]} {self.expression(right)})"
            case ast.UnaryOp(operand=operand):
                return f"(-{self.expression(operand)})"
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return f"fl_where{self.c_suffix}({self.condition(test)}, {self.expression(body)}, {self.expression(orelse)})"
            case ast.Call(func=ast.Name(id=name), args=args):
                function = f"{self.prefix}_{name}_{self.suffix}" if name in self.helpers else f"fl_{name}{self.c_suffix}"
                return f"{function}({', '.join(map(self.expression, args))})"

    def condition(self, node):
        match node:
            case ast.BoolOp(op=op, values=values):
                return "(" + (" & " if isinstance(op, ast.And) else " | ").join(map(self.condition, values)) + ")"
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return f"({self.expression(left)} {COMPARISONS[type(op)]} {self.expression(right)})"

    @property
    def c_suffix(self):
        return "f" if self.suffix == "f32" else ""


def function_text(formula, prefix, suffix, done):
    """A formula as a cdef inline function named prefix_name_suffix; helpers first, unless they are ``done`` already."""
    if formula.name in done:
        return []
    done.add(formula.name)
    emit = Emitter(prefix, suffix, formula.helpers)
    lines = [line for helper in formula.helpers.values() for line in function_text(helper, prefix, suffix, done)]
    arguments = ", ".join(f"{emit.real} {argument}" for argument in formula.arguments)
    lines.append(f"# {formula.file.rpartition('fastloss/')[2]}:{formula.line}")
    lines.append(f"cdef inline {emit.real} {prefix}_{formula.name}_{suffix}({arguments}) noexcept nogil:")
    lines += [f"    cdef {emit.real} {name}" for name in dict.fromkeys(name for name, _ in formula.assignments)]
    lines += [f"    {name} = {emit.expression(value)}" for name, value in formula.assignments]
    lines += [f"    return {emit.expression(formula.result)}", ""]
    return lines


def kernel_text(definition, suffix, compute, outputs):
    """One block loop: values stored as ``suffix``, computed as ``compute``."""
    real, wide = REAL[suffix], REAL[compute]
    lines = [
        f"cdef void {definition.name}_{suffix}_{outputs}(fl_in_{suffix} y, fl_in_{suffix} p, const double* parameters,",
        f"        fl_out_{suffix} loss, fl_out_{suffix} gradient, fl_out_{suffix} hessian, Py_ssize_t n) noexcept nogil:",
        "    cdef Py_ssize_t i",
        f"    cdef {wide} y_i, p_i",
    ]
    # a parameter has the precision of the data, also where the computing is wider: one loss means one function
    arguments = [f"parameter_{index}" for index in range(len(definition.parameters))]
    lines += [f"    cdef {wide} {name} = <{real}>parameters[{index}]" for index, name in enumerate(arguments)]
    return [*lines, *loops(definition, suffix, compute, outputs, arguments, 0), ""]


def loops(definition, suffix, compute, outputs, arguments, first):
    """The loop of a kernel. Where formulas test a parameter that is True or False, one for each value of it, in which the C compiler
    drops what the other value would need; and first of all one for the usual values of parameters."""
    formulas = [formulas_of(definition)[part] for part in OUTPUT_SETS[outputs]]
    parameters = list(definition.parameters.items())
    usual = {index: parameter.usual for index, (_, parameter) in enumerate(parameters) if parameter.usual is not None}
    if first == 0 and usual:
        test = " and ".join(f"{arguments[index]} == {value!r}" for index, value in usual.items())
        fixed = [f"<{REAL[compute]}>{usual[index]!r}" if index in usual else name for index, name in enumerate(arguments)]
        return both(test, *(loops(definition, suffix, compute, outputs, given, 1) for given in (fixed, arguments)))
    for index, (name, parameter) in enumerate(parameters):
        if index + 1 >= first and parameter.switch and any(name in formula.tested for formula in formulas):
            ways = ([*arguments[:index], f"<{REAL[compute]}>{value}", *arguments[index + 1 :]] for value in (1.0, 0.0))
            return both(f"{arguments[index]} == 1.0", *(loops(definition, suffix, compute, outputs, given, index + 2) for given in ways))
    lines = ["    for i in range(n):", "        y_i = y[i]", "        p_i = p[i]"]
    for part in OUTPUT_SETS[outputs]:
        call = f"{definition.name}_{part}_{compute}({', '.join(['y_i', 'p_i', *arguments])})"
        lines.append(f"        {OUTPUTS[part]}[i] = <{REAL[suffix]}>{call}")
    return lines


def both(test, if_so, otherwise):
    return [f"    if {test}:", *("    " + line for line in if_so), "    else:", *("    " + line for line in otherwise)]


def math_text():
    """Every function of the vocabulary over an array, for the tests and tables of its accuracy."""
    lines = []
    for suffix in REAL:
        c_suffix = "f" if suffix == "f32" else ""
        lines.append(
            f"cdef int apply_math_{suffix}(str name, fl_in_{suffix} a, fl_in_{suffix} b, fl_out_{suffix} out, Py_ssize_t n) except -1:"
        )
        lines.append("    cdef Py_ssize_t i")
        for name, count in sorted(VOCABULARY.items()):
            arguments = "a[i]" if count == 1 else "a[i], b[i]"
            lines += [
                f"    if name == {name!r}:",
                "        for i in range(n):",
                f"            out[i] = fl_{name}{c_suffix}({arguments})",
                "        return 0",
            ]
        lines += ["    raise KeyError(name)", ""]
    return lines


def module_text():
    """Everything that is generated, as one file that each instruction set's module includes."""
    losses = [definition for definition in (*REGISTRY.values(), *TERMS.values()) if not definition.root]
    lines = ["# Generated by fastloss/compiler/cython.py from fastloss/losses. Not to be edited, not kept in git.", ""]
    for suffix, real in REAL.items():
        c_suffix = "f" if suffix == "f32" else ""
        lines.append('cdef extern from "vecmath.h" nogil:')
        for name, count in sorted(VOCABULARY.items()):
            lines.append(f"    {real} fl_{name}{c_suffix}({', '.join([real] * count)}) noexcept")
        lines.append("")
    for definition in losses:
        for suffix in ("f64",) if definition.wide else ("f32", "f64"):
            done = set()
            for formula in formulas_of(definition).values():
                lines += function_text(formula, definition.name, suffix, done)
        for suffix in REAL:
            for outputs in OUTPUT_SETS:
                lines += kernel_text(definition, suffix, "f64" if definition.wide else suffix, outputs)
    lines += math_text()
    for suffix in REAL:
        lines.append(f"cdef kernel_{suffix} kernels_{suffix}[{len(losses)}][{len(OUTPUT_SETS)}]")
        for row, definition in enumerate(losses):
            for column, outputs in enumerate(OUTPUT_SETS):
                lines.append(f"kernels_{suffix}[{row}][{column}] = {definition.name}_{suffix}_{outputs}")
    lines.append("")
    lines.append(f"KERNELS = { ({definition.name: row for row, definition in enumerate(losses)})!r}")
    lines.append(f"OUTPUT_SETS = { ({outputs: column for column, outputs in enumerate(OUTPUT_SETS)})!r}")
    lines.append(f"DIGESTS = { ({definition.name: digest(definition) for definition in losses})!r}")
    return "\n".join(lines) + "\n"
