"""Emits rowwise losses as Python: one function that takes row after row through the steps of its program, loop by loop.

The text is the same for both backends in Python; what differs is the space that it runs in. For plain Python (here) a number is a float,
and everything is float64. For Numba (rows_numba.py) it is a vector: the numbers of as many rows as it has lanes. So no step branches on
a number, and all that is done with numbers is calls: of the formulas, f_..., and of the few functions that SCALAR has for floats.

    rows(n, classes, z, y, c, label, factor, parameters, loss, gradient, hessian, kept)

z, y, gradient and hessian are [n][classes]; label, factor and loss [n][1]; c and parameters have one dimension; kept is scratch for what
a class has that is found once and used again (Plan.stored), [names][classes]. What neither the loss nor the outputs need is not looked at.
"""

import functools

from fastloss.compiler.python import executable
from fastloss.compiler.rowprogram import OUTPUTS, Plan, program_of
from fastloss.compiler.rows_scalar import SCALAR


class Emitter:
    """The text of ``rows`` for a Plan. A number of a row is defined where it is first asked for, one of a class once per loop."""

    def __init__(self, plan):
        self.plan, self.program = plan, plan.program
        self.lines, self.depth, self.defined = [], 1, {}
        self.stored = plan.stored()

    def put(self, text):
        self.lines.append("    " * self.depth + text)

    def text(self):
        self.put("for i in range(n):")
        self.depth += 1
        if self.program.labels:
            self.put("own = _own(label, i)")
        for stage in self.plan.stages:
            self.reduce(stage)
        self.outputs()
        head = "def rows(n, classes, z, y, c, label, factor, parameters, loss, gradient, hessian, kept):"
        given = enumerate(self.program.parameters)
        parameters = [f"    {name}_ = _across(parameters, {k})" for k, name in given if name not in self.plan.constants]
        return "\n".join([head, *parameters, "    number_of_classes = _number(_spread(classes))", *self.lines, ""])

    # ---- names -----------------------------------------------------------------------------------------------------------------
    def of_a_class(self, name):
        """Is it a number that every class has its own of?"""
        node = self.plan.makers.get(name)
        if node is None:
            return name in ("z", "y", "c", "j")
        if node.kind == "partition":
            return name == node.options["prefix"] + "e"
        if node.kind == "running":
            return name in (node.name, node.name + "_low")
        if node.kind == "pairs":
            return name == "owed"
        return name == node.name and node.kind == "each"

    def define(self, name, text):
        self.put(f"{name} = {text}")
        return name

    def row(self, name):
        """The variable of a number of the row: those of the program end in an underscore, or in _j within a loop; ours do not."""
        if name in self.program.parameters:
            return name + "_"
        if name == "classes":
            return "number_of_classes"
        if name not in self.defined:
            self.defined[name] = self.define(name + "_", self.row_text(name))
        return self.defined[name]

    def row_text(self, name):
        match name:
            case "z_label":
                return "_gather(z, i, own)"
            case "c_label":
                return "_lookup(c, own)"
            case "label":
                return "_number(own)"
            case "hit":
                return "_indicator(_same(top_at, own))"
        node = self.plan.makers[name]
        if name.endswith("_label"):
            partition = node.kind == "partition"
            return self.exponential(node, self.label_class(node.options["of"])) if partition else self.call(node, self.label_class)
        if node.kind == "once":
            return self.call(node, self.row)
        if name.endswith("_at"):
            return f"_number({name})"
        *_, e_top, rest, norm, log_rest = node.makes
        return f"_inverse({self.row(e_top)}, {self.row(rest)})" if name == norm else f"_log1p_quotient({self.row(rest)}, {self.row(e_top)})"

    def label_class(self, name):
        """What a class's number is in the label's class."""
        return self.row("label" if name == "j" else name + "_label") if self.of_a_class(name) else self.row(name)

    def call(self, node, refer):
        wanted = self.plan.names(node)
        return f"f_{node.name}({', '.join(refer(name) for name in node.formula.arguments if name in wanted)})"

    def exponential(self, node, value):
        return f"_exp_gap({value}, {node.options['prefix']}base)"

    # ---- loops over the classes ------------------------------------------------------------------------------------------------
    def seen(self, node):
        """The numbers of a class that a step looks at, directly or through others, those first that others are made of."""
        found = []
        for name in node.formula.arguments if node.formula else [node.options["of"]]:
            if name in self.plan.names(node) and self.of_a_class(name):
                maker = self.plan.makers.get(name)
                inner = self.seen(maker) if maker is not None and maker.kind in ("each", "running") else []
                inner += [maker.name] if name.endswith("_low") and maker is not None and maker.kind == "running" else []
                found += [other for other in [*inner, name] if other not in found]
        return found

    def loop(self, nodes):
        """The head of a loop in which these steps are computed: before it, the numbers of the row that they look at."""
        seen = list(dict.fromkeys(name for node in nodes for name in self.seen(node)))
        makers = list(dict.fromkeys(self.plan.makers[name] for name in seen if name in self.plan.makers))
        for node in [*nodes, *(maker for maker in makers if maker.kind in ("each", "running"))]:
            for name in self.plan.names(node):
                if not self.of_a_class(name):
                    self.row(name)
        for node in makers:
            if node.kind == "running":
                self.put(f"{node.name}_sum, {node.name}_lost = _nothing(), _nothing()")
        self.put("for j in range(classes):")
        self.depth += 1
        self.put("at = _spread(j)")
        for name in seen:
            self.define(name + "_j", self.class_text(name))

    def class_text(self, name):
        if name in ("z", "y"):
            return f"_get({name}, i, j)"
        if name in ("c", "j"):
            return "_across(c, j)" if name == "c" else "_number(at)"
        node = self.plan.makers[name]
        if node.kind == "partition":
            return f"_get(kept, {self.stored.index(name)}, j)"
        if node.kind == "pairs":
            return f"_get(kept, {self.stored.index('owed')}, j)"
        if node.kind == "running":
            if name != node.name:
                return f"_left({node.name}_sum, {node.name}_lost)"
            self.put(f"{name}_sum, {name}_lost = _plus({name}_sum, {name}_lost, {self.call(node, self.in_loop)})")
            return f"_rounded({name}_sum, {name}_lost)"
        return self.call(node, self.in_loop)

    def in_loop(self, name):
        return name + "_j" if self.of_a_class(name) else self.row(name)

    def end(self):
        self.depth -= 1

    def reduce(self, nodes):
        """A stage: a loop for what partitions are relative to, and one for everything else."""
        partitions = [node for node in nodes if node.kind == "partition"]
        rowwise = [node for node in nodes if node.kind in ("threshold", "pairs")]
        lasts = [node for node in nodes if node.kind == "last"]
        others = [node for node in nodes if node.kind in ("total", "largest")]
        for node in rowwise:
            self.defined |= {name: name + "_" for name in node.makes}
            self.put(f"{', '.join(map(self.row, node.makes))} = {self.of_row(node)}")
        nodes = [node for node in nodes if node not in rowwise]
        if not nodes:
            return
        for node in partitions:
            self.start_largest(*node.makes[:2])
        if partitions:
            self.loop(partitions)
            for node in partitions:
                self.larger(*node.makes[:2], self.in_loop(node.options["of"]))
            self.end()
        for node in partitions:
            top, _, e_top, rest, *_ = node.makes
            self.put(f"{node.options['prefix']}base = _settled({top}_)")
            self.put(f"{e_top}_ = {self.exponential(node, top + '_')}")
            self.put(f"{rest}_sum, {rest}_lost = _nothing(), _nothing()")
            self.defined[e_top] = e_top + "_"
        for node in others:
            if node.kind == "largest":
                self.start_largest(*node.makes)
            else:
                self.put(f"{node.name}_sum, {node.name}_lost = _nothing(), _nothing()")
        self.loop(nodes)
        for node in partitions:
            self.add_exponential(node)
        for node in others:
            value = self.call(node, self.in_loop)
            outside = node.options["without"]
            if node.kind == "largest":
                self.larger(*node.makes, f"_pick(_same(at, own), _least(), {value})" if outside else value)
            else:
                self.add(node.name, f"_pick(_same(at, own), _zero(), {value})" if outside else value)
        self.end()
        for name in [node.makes[3] for node in partitions] + [node.name for node in others if node.kind == "total"]:
            self.defined[name] = self.define(name + "_", f"_rounded({name}_sum, {name}_lost)")
        for node in lasts:
            for name, part in zip(node.makes, ("_rounded", "_left"), strict=True):
                of = node.options["of"]
                self.defined[name] = self.define(name + "_", f"{part}({of}_sum, {of}_lost)")

    def of_row(self, node):
        if node.kind == "threshold":
            return "_threshold(z, i, classes)"
        kept = self.stored.index("owed") if "owed" in self.stored else -1
        return f"_pairs(z, y, i, classes, {self.row('margin')}, kept, {kept})"

    def start_largest(self, name, place):
        self.put(f"{name}_, {place} = _least(), _spread(0)")
        self.defined[name] = name + "_"

    def larger(self, name, place, value):
        self.put(f"found = {value}")
        self.put(f"more = _beyond(found, {name}_)")
        self.put(f"{name}_, {place} = _pick(more, found, {name}_), _pick(more, at, {place})")

    def add(self, name, value):
        self.put(f"{name}_sum, {name}_lost = _plus({name}_sum, {name}_lost, {value})")

    def add_exponential(self, node):
        prefix = node.options["prefix"]
        _, place, _, rest, *_ = node.makes
        self.put(f"e = {self.exponential(node, self.in_loop(node.options['of']))}")
        if prefix + "e" in self.stored:
            self.put(f"_put(kept, {self.stored.index(prefix + 'e')}, j, e)")
        self.add(rest, f"_pick(_same(at, {place}), _zero(), e)")

    # ---- outputs ---------------------------------------------------------------------------------------------------------------
    def outputs(self):
        self.put(f"_put(loss, i, 0, {self.call_of_row(self.program.parts['value'])})")
        parts = [part for part in self.plan.parts if part != "value"]
        if not parts:
            return
        self.put("weight = _get(factor, i, 0)")
        for fix in self.plan.fixes:
            self.define(fix.name + "_", f"_product(weight, {self.call_of_row(fix)})")
        nodes = [self.program.parts[part] for part in parts]
        self.loop(nodes)
        for part, node in zip(parts, nodes, strict=True):
            self.define(f"{part}_j", f"_product(weight, {self.call(node, self.in_loop)})")
            for fix in self.plan.fixes:
                if fix.options["part"] == part:
                    place = "own" if fix.options["place"] == "label" else fix.options["place"] + "_at"
                    self.define(f"{part}_j", f"_pick(_same(at, {place}), {fix.name}_, {part}_j)")
            self.put(f"_put({OUTPUTS[part]}, i, j, {part}_j)")
        self.end()

    def call_of_row(self, node):
        names = {name: self.row(name) for name in node.formula.arguments if name in self.plan.names(node)}
        return self.call(node, names.get)


def row_plan(definition, outputs, constants):
    """(Plan, text of ``rows``) of a definition, for a set of outputs of rowprogram.OUTPUT_SETS and known ``constants``, pairs."""
    plan = Plan(program_of(definition), outputs, dict(constants))
    return plan, Emitter(plan).text()


def formulas_in(plan):
    """(name in the text, Formula, what each argument is: a number that is known, or None) of all that a plan computes."""
    for node in [*plan.needed, *(plan.program.parts[part] for part in plan.parts), *plan.fixes]:
        if node.formula:
            wanted = plan.names(node)
            known = [None if name in wanted else float(plan.constants.get(name, 0.0)) for name in node.formula.arguments]
            yield f"f_{node.name}", node.formula, known


def with_known(function, known):
    """A function of the arguments that are not known."""
    if None not in known:
        value = function(*known)
        return lambda: value

    def rest(*given):
        given = iter(given)
        return function(*(next(given) if value is None else value for value in known))

    return rest if any(value is not None for value in known) else function


@functools.cache
def scalar_rows(definition, outputs, constants):
    """(rows in plain Python, how many numbers of a class it keeps)."""
    plan, text = row_plan(definition, outputs, constants)
    space = SCALAR | {name: with_known(executable(formula), known) for name, formula, known in formulas_in(plan)}
    exec(compile(text, f"<rows of {definition.name}>", "exec"), space)  # made of our own formulas, checked to be within the subset
    return space["rows"], len(plan.stored())
