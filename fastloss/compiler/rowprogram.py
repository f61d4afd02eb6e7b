"""A rowwise loss as a program: its steps checked, and for a set of outputs those that are needed, in stages.

A stage is one loop over the classes: all reductions in it depend on what earlier stages found. Steps of kind ``each`` are written out
wherever they are used; what a Partition exponentiates and what Pairs counts is stored.
"""

import ast
import functools

from fastloss.compiler.subset import COMPARISONS, Formula, FormulaError
from fastloss.losses.rowspec import LABELS

ELEMENT = {"z", "y", "c", "j"}
ROW = {"z_label", "c_label", "label", "classes", "hit"}
TESTS = {"==": "__eq__", "!=": "__ne__", "<": "__lt__", "<=": "__le__", ">": "__gt__", ">=": "__ge__"}
# What kernels call things of their own; the first with a Partition's prefix, too
PREFIXED = ("base", "power", "low", "shift", "ties", "part", "part_low")
TAKEN = {*PREFIXED, "terms", "buffer", "source", "largest", "highest", "acc", "v", "more", "factor", "loss",
         "gradient", "hessian", "label", "a", "b", "c", "i", "j", "k", "m", "p", "y", "z"}  # fmt: skip
OUTPUT_SETS = {"l": ("value",), "lg": ("value", "gradient"), "lgh": ("value", "gradient", "hessian")}
OUTPUTS = {"value": "loss", "gradient": "gradient", "hessian": "hessian"}


def used(formula, constants):
    """The arguments that a formula depends on once some have known values: choices between the two sides of a test on them fall away."""
    values = dict(formula.assignments)

    def names(node):
        match node:
            case ast.IfExp(test=test, body=body, orelse=orelse):
                known = decided(test, constants)
                return names(test) | names(body) | names(orelse) if known is None else names(body if known else orelse)
            case ast.Name(id=name):
                return {name}
            case ast.Call(args=args):
                return set().union(*map(names, args)) if args else set()
            case _:
                return set().union(*map(names, ast.iter_child_nodes(node)), set())

    found, todo = set(), names(formula.result)
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo |= names(values[name]) if name in values else set()
    return {name for name in formula.arguments if name in found and name not in constants}


def decided(test, constants):
    """True or False where a condition is settled by constants, else None."""
    if not isinstance(test, ast.Compare) or not isinstance(test.left, ast.Name) or test.left.id not in constants:
        return None
    if not isinstance(test.comparators[0], ast.Constant):
        return None
    return getattr(float(constants[test.left.id]), TESTS[COMPARISONS[type(test.ops[0])]])(test.comparators[0].value)


def plain_name(formula, constants):
    """The argument that a formula simply hands on once some have known values, or None: scores divided by a temperature of 1, say."""

    def follow(node, formula, known, names):
        if isinstance(node, ast.Name):
            values = dict(formula.assignments)
            return follow(values[node.id], formula, known, names) if node.id in values else names.get(node.id)
        if isinstance(node, ast.IfExp):
            way = decided(node.test, known)
            return None if way is None else follow(node.body if way else node.orelse, formula, known, names)
        if isinstance(node, ast.Call) and node.func.id in formula.helpers:
            helper = formula.helpers[node.func.id]
            given = {argument: value.id for argument, value in zip(helper.arguments, node.args, strict=True) if isinstance(value, ast.Name)}
            inner = {argument: known[name] for argument, name in given.items() if name in known}
            return follow(helper.result, helper, inner, {argument: names.get(name) for argument, name in given.items()})
        return None

    return follow(formula.result, formula, constants, {name: name for name in formula.arguments if name not in constants})


class Node:
    """A checked step: kind, name, formula (None of a partition), options."""

    def __init__(self, name, step):
        self.name, self.kind, self.options = name, step.kind, step.options
        self.formula = Formula(step.function) if step.function else None

    @property
    def makes(self):
        """The names that it defines, but for those seen per class."""
        if self.kind == "partition":
            return [self.options["prefix"] + name for name in ("top", "top_at", "e_top", "rest", "norm", "log_rest")]
        more = {"total": [""], "once": [""], "largest": ["", "_at"], "last": ["", "_low"]}
        made = {"threshold": ["peak", "tau", "tau_low"], "pairs": ["hinges"]}.get(self.kind)
        return [self.name + end for end in more.get(self.kind, ())] if made is None else made


class Program:
    """All steps of a definition in order, and the formulas of its outputs (``parts``: {"value": Node, ...}; ``fixes``: the @at's)."""

    def __init__(self, definition):
        self.definition, self.name = definition, definition.name
        self.labels = definition.target is LABELS
        self.parameters = list(definition.parameters)
        self.nodes, self.parts, self.fixes = {}, {}, []
        for name, function in {k: v for k, v in vars(definition.body).items() if k in OUTPUTS}.items():
            self.parts[name] = Node(name, _Output(name, function))
        for name, step in definition.steps.items():
            node = Node(name, step)
            if node.kind == "at":
                self.fixes.append(node)
            else:
                self.nodes[name] = node
        self._check()

    def _check(self):
        rows = ROW | set(self.parameters) if self.labels else {"classes", *self.parameters}
        elements = ELEMENT if self.labels else ELEMENT | {"y"}
        prefixes = [node.options["prefix"] for node in self.nodes.values() if node.kind == "partition"]
        for node in [*self.nodes.values(), *self.parts.values(), *self.fixes]:
            if node.kind == "partition":
                prefix = node.options["prefix"]
                rows = rows | set(node.makes)
                elements = elements | {prefix + "e"}
                rows = rows | {prefix + "e_label"} if self.labels else rows
                continue
            if node.formula is None:
                if node.kind == "pairs":
                    if self.labels or "margin" not in self.parameters:
                        raise FormulaError(f"`{self.name}`: Pairs are of rows of targets, and look at a parameter `margin`")
                    elements = elements | {"owed"}
                rows = rows | set(node.makes)
                continue
            per_class = node.kind in ("each", "running", "total", "largest") or node.name in ("gradient", "hessian")
            known = rows | elements if per_class else rows
            for name in node.formula.arguments:
                if name not in known:
                    kind = "class" if per_class else "row"
                    raise FormulaError(f"{node.formula.file}:{node.formula.line}: in `{node.name}`: `{name}` is not known per {kind} there")
            for name in set(node.makes) & (TAKEN | {prefix + name for prefix in prefixes for name in PREFIXED}):
                raise FormulaError(f"{node.formula.file}:{node.formula.line}: a step may not be named `{name}`: kernels use that name")
            rows = rows | set(node.makes)
            if node.kind in ("each", "running"):
                elements = elements | {node.name} | ({node.name + "_low"} if node.kind == "running" else set())
                rows = rows | {node.name + "_label"} if node.kind == "each" and self.labels else rows

    @property
    def usual(self):
        """{parameter: value} for which kernels of their own are made; the class weights' absence among them."""
        return {name: parameter.usual for name, parameter in self.definition.parameters.items() if parameter.usual is not None}

    @functools.cached_property
    def output_sets(self):
        return {outputs: parts for outputs, parts in OUTPUT_SETS.items() if all(part in self.parts for part in parts)}

    def formula_nodes(self):
        return [node for node in [*self.nodes.values(), *self.parts.values(), *self.fixes] if node.formula]


class _Output:
    def __init__(self, name, function):
        self.kind, self.function, self.options = "once" if name == "value" else "each", function, {}


class Plan:
    """What one kernel does: for a set of outputs and known constants, the needed steps by stage.

    stages   lists of Nodes that are reduced in one loop over the classes
    once     {stage: nodes to compute after that loop}
    """

    def __init__(self, program, outputs, constants):
        self.program, self.constants = program, constants
        self.parts = program.output_sets[outputs]
        self.fixes = [fix for fix in program.fixes if fix.options["part"] in self.parts]
        self.makers = {name: node for node in program.nodes.values() for name in node.makes}
        for node in program.nodes.values():
            if node.kind == "partition":
                self.makers[node.options["prefix"] + "e"] = self.makers[node.options["prefix"] + "e_label"] = node
            if node.kind == "pairs":
                self.makers["owed"] = node
            if node.kind in ("each", "running"):
                self.makers[node.name] = node
                self.makers[node.name + "_label"] = node
            if node.kind == "running":
                self.makers[node.name + "_low"] = node
        self.stage, needed = {}, {}
        for node in [*(program.parts[part] for part in self.parts), *self.fixes]:
            self._need(node, needed)
        for fix in self.fixes:
            place = fix.options["place"]
            if place != "label":
                self._need(self.makers[place], needed)
        self.needed = [node for node in program.nodes.values() if node in needed]
        self.stages = [[] for _ in range(1 + max((self.level(node) for node in self.needed if self.reduces(node)), default=-1))]
        self.once = {}
        for node in self.needed:
            if self.reduces(node):
                self.stages[self.level(node)].append(node)
            elif node.kind == "once":
                self.once.setdefault(self.level(node), []).append(node)

    @staticmethod
    def reduces(node):
        return node.kind in ("total", "largest", "partition", "last", "threshold", "pairs")

    def names(self, node):
        """What a node refers to directly."""
        if node.kind == "pairs":
            return {"z", "y", "margin"}
        if node.formula is None:
            return {node.options.get("of", "z")}
        return used(node.formula, self.constants)

    def _need(self, node, needed):
        if node in needed:
            return
        needed[node] = True
        for name in self.names(node):
            if name in self.makers:
                self._need(self.makers[name], needed)
            if name == "hit":
                self._need(self.makers["top"], needed)

    def level(self, node):
        """The stage of a reduction; of others, the stage after whose loop they are known (-1: from the start)."""
        if node not in self.stage:
            found = -1
            for name in self.names(node):
                maker = self.makers.get("top" if name == "hit" else name)
                if maker is not None:
                    found = max(found, self.level(maker))
            self.stage[node] = found + 1 if self.reduces(node) else found
        return self.stage[node]

    def needs(self, name):
        """Is a name used anywhere in this kernel?"""
        nodes = [*self.needed, *(self.program.parts[part] for part in self.parts), *self.fixes]
        return any(name in self.names(node) for node in nodes)

    def doubled(self, run):
        """Is a running sum wanted to twice the digits?"""
        return self.needs(run.name + "_low") or any(node.kind == "last" and node.options["of"] == run.name for node in self.needed)

    def stored(self):
        """Names of the classes' numbers that are found once and used again: exponentials of partitions, counts of pairs."""
        kept = {"partition": lambda node: node.options["prefix"] + "e", "pairs": lambda node: "owed"}
        names = [kept[node.kind](node) for node in self.needed if node.kind in kept]
        return [name for name in names if self.needs(name)]


@functools.cache
def program_of(definition):
    return Program(definition)
