"""Emits rowwise losses as Cython, in two forms of the same program.

lanes   few classes: a tile of FL_LANES samples, transposed, so that element (class j, sample i) is z[j * FL_LANES + i]. The inner loop runs
        over samples: every statistic is an array of FL_LANES numbers, and the vectors are full whatever C is. Exponentials are stored.
rows    many classes: samples one by one where they are, the loops running along the row in blocks that stay in the first cache. Sums
        over a block are those of kernels/rows.h, which fix the order; over blocks they are float64. A Partition is found online: where
        a block holds a new largest score, what was summed before is scaled down. Exponentials are computed again where they are used
        again, which is cheaper than a second pass over what may no longer be in a cache.

What follows from the statistics of a row alone is computed for FL_LANES rows at a time in both.
"""

import ast

from fastloss.compiler.cython import REAL, function_text
from fastloss.compiler.rowprogram import OUTPUT_SETS, OUTPUTS, Plan, plain_name, program_of
from fastloss.losses import ROW_REGISTRY

FORMS = ("lanes", "rows")


class Kernel:
    """One kernel: a program for a set of outputs, a dtype, a form and some known constants."""

    def __init__(self, program, suffix, outputs, constants, form):
        self.program, self.suffix, self.real, self.outputs, self.form = program, suffix, REAL[suffix], outputs, form
        self.constants = constants
        self.plan = Plan(program, outputs, constants)
        self.lines, self.depth, self.declared, self.terms = [], 1, {}, 0
        self.lanes = form == "lanes"
        self.stored = self.plan.stored() if self.lanes else []
        # the first of them live where the gradient goes: their last use is the gradient itself
        self.in_output = self.stored[:1] if "gradient" in self.plan.parts else []

    # ---- writing -----------------------------------------------------------------------------------------------------------
    def put(self, text):
        self.lines.append("    " * self.depth + text)

    def block(self, text):
        self.put(text)
        self.depth += 1

    def end(self, levels=1):
        self.depth -= levels

    def array(self, name, kind=None):
        self.declared[name] = f"cdef {kind or self.real} {name}[FL_LANES]"
        return name

    def scalar(self, name, kind=None):
        self.declared[name] = f"cdef {kind or self.real} {name}"
        return name

    def number(self, value):
        return f"(<{self.real}>{float(value)!r})"

    # ---- what a name is ------------------------------------------------------------------------------------------------------
    def refer(self, name, element):
        """The text of a name; element: within a loop over classes, or of the row alone."""
        if name in self.constants:
            return self.number(self.constants[name])
        if name in self.program.parameters:
            return f"q_{name}"
        if name == "classes":
            return f"(<{self.real}>a.classes)"
        if element:
            found = self.element(name)
            if found is not None:
                return found
        if name.endswith("_label") and name not in ("z_label", "c_label"):
            node = self.plan.makers[name]
            return self.exponential(node, "i", self.of(node, label=True)) if node.kind == "partition" else self.call(node, False, label=True)
        if name == "label" or name.endswith("_at"):
            return f"(<{self.real}>{self.row(name)})"
        return self.row(name)

    def row(self, name):
        return f"{name}[i]"

    def element(self, name):
        if name in ("z", "y"):
            return f"{name}[j * FL_LANES + i]" if self.lanes else f"{name}_i[b + k]"
        if name == "c":
            return "c[j]" if self.lanes else "c[b + k]"
        if name == "j":
            return f"(<{self.real}>j)" if self.lanes else f"(<{self.real}>(b + k))"
        node = self.plan.makers.get(name)
        if node is None or name in node.makes or name.endswith("_label"):
            return None
        if node.kind == "each":
            return self.call(node, True)
        if node.kind == "running":
            part = "low" if name == node.name + "_low" else "run"
            return f"{node.name}_{part}[{'i' if self.lanes else 'k'}]"
        if node.kind == "partition":
            return f"{self.store_of(node.options['prefix'])}[j * FL_LANES + i]" if self.lanes else self.exponential(node, "i", self.of(node))
        return None

    def call(self, node, element, label=False):
        """A step's function with its arguments; with label, those of the label's class."""
        wanted = self.plan.names(node)
        arguments = []
        for name in node.formula.arguments:
            if name not in wanted and name not in self.constants:
                arguments.append(self.number(0.0))
            elif label and name in ("z", "c"):
                arguments.append(self.refer(name + "_label", False))
            elif label and name == "j":
                arguments.append(self.refer("label", False))
            else:
                arguments.append(self.refer(name, element and not label))
        return f"{self.program.name}_{node.formula.name}_{self.suffix}({', '.join(arguments)})"

    # ---- loops ---------------------------------------------------------------------------------------------------------------
    def over_samples(self, limit="FL_LANES"):
        self.block(f"for i in range({limit}):")

    def runs(self, nodes):
        """The running sums that some steps look at, those they build on first."""
        found = []

        def look(node):
            for name in self.plan.names(node):
                maker = self.plan.makers.get(name)
                if maker is not None and maker.kind in ("each", "running"):
                    look(maker)
                    if maker.kind == "running" and maker not in found:
                        found.append(maker)

        for node in nodes:
            look(node)
        return found

    def run_step(self, run, index, total, low):
        """A running sum's next term, as lines; what its roundings lost is summed beside it, in float64, where that is wanted."""
        value, shown = self.call(run, True), f"{run.name}_run[{index}]"
        if not self.plan.doubled(run):
            return [f"{total} = {total} + {value}", f"{shown} = {total}"]
        return [*self.two_sum(total, low, value), f"{shown} = <{self.real}>({total} + {low})",
                f"{run.name}_low[{index}] = <{self.real}>(({total} - {shown}) + {low})"]  # fmt: skip

    def two_sum(self, total, low, value):
        """total += value, and low += what that rounds away, exactly."""
        for name in ("term_", "sum_", "back_"):
            self.scalar(name)
        return [f"term_ = {value}", f"sum_ = {total} + term_", f"back_ = sum_ - {total}",
                f"{low} = {low} + (({total} - (sum_ - back_)) + (term_ - back_))", f"{total} = sum_"]  # fmt: skip

    def of(self, node, label=False):
        """What a partition is over, per class; with label, of the label's."""
        name = node.options["of"]
        return self.refer(name + "_label", False) if label else self.refer(name, True)

    def exponential(self, node, index, value):
        scale = (f"{node.options['prefix']}{part}[{index}]" for part in ("base", "low", "shift"))
        return f"fl_part_exp{self.f}({value}, {', '.join(scale)})"

    def scale(self, node):
        """What the exponentials of a partition are relative to, from its top: arrays base, power, low, shift."""
        prefix = node.options["prefix"]
        for part, arguments in (("base", ("top",)), ("power", ("top", "base")), ("low", ("power",)), ("shift", ("power",))):
            self.array(prefix + part)
            given = ", ".join(f"{prefix}{name}[i]" for name in arguments)
            self.put(f"{prefix}{part}[i] = fl_part_{part}{self.f}({given})")

    def text(self, name):
        """The whole kernel as lines."""
        self.head_values()
        for stage, nodes in enumerate(self.plan.stages, start=0):
            self.once(stage - 1)
            (self.stage_lanes if self.lanes else self.stage_rows)(nodes)
        self.once(len(self.plan.stages) - 1)
        self.outputs_text()
        pointers = [("z", "in"), ("y", "in"), ("c", "in")] + [(OUTPUTS[part], "out") for part in self.plan.parts]
        head = [f"cdef void {name}(const RowTile* a) noexcept nogil:"]
        head += [f"    cdef fl_{way}_{self.suffix} {pointer} = <{self.real}*>a.{pointer}" for pointer, way in pointers]
        if not self.lanes:
            head += [f"    cdef const {self.real}* {pointer}_i" for pointer in ("z", "y")]
            head += [f"    cdef {self.real}* {OUTPUTS[part]}_i" for part in self.plan.parts if part != "value"]
        head += ["    cdef Py_ssize_t i, j, k, b, m, p", f"    cdef const {self.real}* factor = <const {self.real}*>a.factor"]
        for index, parameter in enumerate(self.program.parameters):
            head.append(f"    cdef {self.real} q_{parameter} = <{self.real}>a.parameters[{index}]")
        head += ["    " + line for line in self.declared.values()]
        return [*head, *self.lines, ""]

    def head_values(self):
        if self.program.labels:
            self.put("label = a.label")
            self.declared["label"] = "cdef const int* label"
            for name, source in (("z_label", "z"), ("c_label", "c")):
                if self.plan_needs(name):
                    self.array(name)
                    self.over_samples("a.n")
                    where = "label[i]"
                    if name == "z_label":
                        where = "label[i] * FL_LANES + i" if self.lanes else "i * a.z_pitch + label[i]"
                    self.put(f"{name}[i] = {source}[{where}]")
                    self.end()

    def plan_needs(self, name):
        """Is z_label (or c_label) needed, by itself or through an ``each`` of the label's class?"""
        nodes = [*self.plan.needed, *(self.program.parts[part] for part in self.plan.parts), *self.plan.fixes]
        for node in nodes:
            for used_name in self.plan.names(node):
                maker = self.plan.makers.get(used_name)
                if used_name == name:
                    return True
                if used_name.endswith("_label") and maker is not None and name[0] in self.closure(maker):
                    return True
        return False

    def closure(self, node):
        names = set(self.plan.names(node))
        for name in list(names):
            maker = self.plan.makers.get(name)
            if maker is not None and maker.kind == "each":
                names |= self.closure(maker)
        return names

    def once(self, stage):
        nodes = self.plan.once.get(stage, [])
        makes_top = 0 <= stage < len(self.plan.stages) and any("top" in node.makes for node in self.plan.stages[stage])
        hit = makes_top and self.program.labels and self.plan.needs("hit")
        partitions = [node for node in self.plan.stages[stage] if node.kind == "partition"] if stage >= 0 else []
        if not nodes and not hit and not partitions:
            return
        self.over_samples()
        for node in partitions:
            *_, e_top, rest, norm, log_rest = node.makes
            if not self.lanes:
                self.scale(node)
            if self.plan.needs(norm):
                self.array(norm)
                self.put(f"{norm}[i] = {self.number(1.0)} / ({e_top}[i] + {rest}[i])")
            if self.plan.needs(log_rest):
                self.array(log_rest)
                self.put(f"{log_rest}[i] = fl_log1p{self.f}({rest}[i] / {e_top}[i])")
        if hit:
            self.array("hit")
            self.put(f"hit[i] = <{self.real}>(top_at[i] == label[i])")
        for node in nodes:
            self.array(node.name)
            self.put(f"{node.name}[i] = {self.call(node, False)}")
        self.end()

    # ---- lanes ---------------------------------------------------------------------------------------------------------------
    def stage_lanes(self, nodes):
        partitions = [node for node in nodes if node.kind == "partition"]
        others = [node for node in nodes if node.kind not in ("partition", "threshold")]
        for node in nodes:
            if node.kind == "threshold":
                self.put(f"fl_threshold_lanes_{self.suffix}(z, a.classes, {', '.join(map(self.array, node.makes))})")
        if partitions:
            self.lanes_loop([lambda node=node: self.lanes_largest(node, *node.makes[:2], self.of(node), None) for node in partitions], partitions)
            self.over_samples()
            for node in partitions:
                self.scale(node)
            self.end()
        actions = [lambda node=node: self.lanes_rest(node) for node in partitions]
        for node in others:
            if node.kind == "largest":
                actions.append(lambda node=node: self.lanes_largest(node, *node.makes, self.call(node, True), node.options["without"]))
            elif node.kind == "last":
                actions.append(lambda node=node: ([], [f"{self.array(name)}[i] = {of}[i]" for name, of in self.ends(node)]))
            else:
                actions.append(lambda node=node: self.lanes_total(node))
        if actions:
            self.lanes_loop(actions, nodes)

    def lanes_loop(self, actions, nodes):
        """for j: for i: all actions. An action yields (what to do before the loop, what to do within), and perhaps what to do after it."""
        runs = self.runs(nodes)
        before, within, after = [], [], []
        for run in runs:
            for part in ("_run", "_low"):
                self.array(run.name + part)
            sums = [f"{self.array(run.name + part, kind)}[i]" for part, kind in (("_sum", None), ("_rest", "double"))]
            before += [f"{one} = 0" for one in sums]
            within += self.run_step(run, "i", *sums)
        for action in actions:
            first, inner, *last = action()
            before += first
            within += inner
            after += last
        if before:
            self.over_samples()
            for line in before:
                self.put(line)
            self.end()
        self.block("for j in range(a.classes):")
        self.over_samples()
        for line in within:
            self.put(line)
        self.end(2)
        if after:
            self.over_samples()
            for line in after:
                self.put(line)
            self.end()

    def lanes_largest(self, node, name, place, value, without):
        self.array(name)
        self.array(place, "int")
        self.scalar("v")
        lines = [f"v = {value}"]
        sticky = "" if node.kind == "partition" else " | (v != v)"
        self.scalar("more", "bint")
        test = f"((v > {name}[i]){sticky}) & (label[i] != <int>j)" if without else f"(v > {name}[i]){sticky}"
        lines += [f"more = {test}", f"{place}[i] = fl_pick(more, <int>j, {place}[i])",
                  f"{name}[i] = fl_where{self.f}(more, v, {name}[i])"]  # fmt: skip
        return [f"{name}[i] = -fl_inf", f"{place}[i] = 0"], lines

    @property
    def f(self):
        return "f" if self.suffix == "f32" else ""

    def lanes_rest(self, node):
        prefix = node.options["prefix"]
        _, place, e_top, rest, *_ = node.makes
        self.array(rest)
        self.array(e_top)
        self.scalar("v")
        self.scalar("more", "bint")
        lines = [f"v = {self.exponential(node, 'i', self.of(node))}"]
        if prefix in self.stored:
            lines.append(f"{self.store_of(prefix)}[j * FL_LANES + i] = v")
        lines += [f"more = {place}[i] == j", f"{e_top}[i] = fl_where{self.f}(more, v, {e_top}[i])"]
        lines.append(f"{rest}[i] = {rest}[i] + fl_where{self.f}(more, 0, v)")
        return [f"{rest}[i] = 0", f"{e_top}[i] = 0"], lines

    def store_of(self, prefix):
        if prefix in self.in_output:
            return "gradient"
        name = prefix + "e_kept"
        index = self.stored.index(prefix) - len(self.in_output)
        self.declared[name] = f"cdef {self.real}* {name} = <{self.real}*>a.kept[{index}]"
        return name

    @staticmethod
    def ends(node):
        """(name, array) pairs of what a step Last takes from its running sum."""
        return zip(node.makes, (node.options["of"] + "_run", node.options["of"] + "_low"), strict=True)

    def lanes_total(self, node):
        self.array(node.name)
        value = self.call(node, True)
        if node.options["without"]:
            value = f"fl_where{self.f}(label[i] == <int>j, 0, {value})"
        # one after another, up to FL_FEW roundings would add up: they are undone
        low = self.array(node.name + "_rest")
        after = f"{node.name}[i] = {node.name}[i] + fl_where{self.f}({low}[i] - {low}[i] == 0, {low}[i], 0)"  # of infinite sums it is NaN
        return [f"{node.name}[i] = {low}[i] = 0"], self.two_sum(f"{node.name}[i]", f"{low}[i]", value), after

    # ---- rows ----------------------------------------------------------------------------------------------------------------
    def stage_rows(self, nodes):
        for node in nodes:
            if node.kind == "partition":
                self.rows_partition(node)
            if node.kind == "threshold":
                self.over_samples("a.n")
                places = ", ".join(f"&{self.array(name)}[i]" for name in node.makes)
                self.put(f"fl_threshold_row_{self.suffix}(z + i * a.z_pitch, a.classes, {places})")
                self.end()
        others = [node for node in nodes if node.kind not in ("partition", "threshold")]
        if others:
            self.rows_reduce(others)

    def row_head(self):
        self.over_samples("a.n")
        self.put("z_i = z + i * a.z_pitch")
        if not self.program.labels:
            self.put("y_i = y + i * a.y_pitch")
        for part in self.plan.parts:
            if part != "value":
                self.put(f"{OUTPUTS[part]}_i = {OUTPUTS[part]} + i * a.{OUTPUTS[part]}_pitch")

    def over_blocks(self):
        self.put("b = 0")
        self.block("while b < a.classes:")
        self.put("m = min(<Py_ssize_t>FL_BLOCK, a.classes - b)")

    def next_block(self):
        self.put("b = b + FL_BLOCK")
        self.end()

    def rows_partition(self, node):
        of = node.options["of"]
        if of in self.program.nodes:
            of = plain_name(self.program.nodes[of].formula, self.constants) or of
        top, place, e_top, rest, *_ = node.makes
        for name in (top, rest, e_top):
            self.array(name)
        self.array(place, "int")
        self.declared["buffer"] = f"cdef {self.real} buffer[FL_BLOCK + FL_SPARE]"
        self.declared["source"] = f"cdef const {self.real}* source"
        self.scalar("acc", "double")
        for name in ("largest", "highest", "base_", "power_", "low_", "shift_", "base_before", "power_before"):
            self.scalar(name)
        own = f"fl_part_exp{self.f}(%s, base_, low_, shift_)"
        self.row_head()
        self.put(f"highest, acc, p, {e_top}[i] = -fl_inf, 0.0, 0, fl_inf - fl_inf")
        self.put("base_ = power_ = low_ = shift_ = 0")
        self.over_blocks()
        self.put("fl_row_ahead(<const char*>(z_i + b), m * sizeof(z_i[0]))")
        self.running_rows(self.runs([node]))
        if of in ("z", "y"):
            self.put(f"source = {of}_i + b")
        else:
            self.block("for k in range(m):")
            self.put(f"buffer[k] = {self.of(node)}")
            self.end()
            self.put("source = buffer")
        self.put(f"largest, j = fl_row_max_{self.suffix}(source, m), -1")
        self.put("# What was summed goes to the new scale; a block of -inf before any other score has none, and adds nothing")
        self.block("if largest > highest or largest != largest:")
        self.put("base_before, power_before = base_, power_")
        self.block("if highest > -fl_inf:")
        self.put(f"acc = acc + {e_top}[i]")
        self.end()
        self.put(f"base_ = fl_part_base{self.f}(largest)")
        self.put(f"power_ = fl_part_power{self.f}(largest, base_)")
        self.put(f"low_, shift_ = fl_part_low{self.f}(power_), fl_part_shift{self.f}(power_)")
        self.block("if highest > -fl_inf:")
        self.put("acc = fl_rescaled(acc, base_before, power_before, base_, power_)")
        self.end()
        self.put(f"j = fl_row_find_{self.suffix}(source, m, largest)")
        self.put("highest, p = largest, b + j")
        self.end()
        self.block("for k in range(m):")
        self.put(f"buffer[k] = {own % 'source[k]'}")
        self.end()
        self.block("if highest == -fl_inf:")
        self.put("memset(buffer, 0, m * sizeof(buffer[0]))")
        self.end()
        self.block("if j >= 0:")
        self.put(f"{e_top}[i], buffer[j] = buffer[j], 0")
        self.end()
        self.put(f"acc = acc + fl_row_sum_{self.suffix}(buffer, m)")
        self.next_block()
        self.put(f"{top}[i], {place}[i], {rest}[i] = highest, <int>p, <{self.real}>acc")
        self.end()

    def running_rows(self, runs):
        for run in runs:
            sums = [self.scalar(run.name + part, kind) for part, kind in (("_sum", None), ("_rest", "double"))]
            for part in ("_run", "_low"):
                self.declared[run.name + part] = f"cdef {self.real} {run.name}{part}[FL_BLOCK]"
            self.block("if b == 0:")
            self.put(f"{sums[0]} = {sums[1]} = 0")
            self.end()
            self.block("for k in range(m):")
            for line in self.run_step(run, "k", *sums):
                self.put(line)
            self.end()

    def rows_reduce(self, nodes):
        lasts, everything = [node for node in nodes if node.kind == "last"], nodes
        nodes = [node for node in nodes if node.kind != "last"]
        self.terms = max(self.terms, len(nodes))
        if nodes:
            self.declared["terms"] = f"cdef {self.real} terms[{self.terms}][FL_BLOCK + FL_SPARE]"
        self.row_head()
        for node in nodes:
            if node.kind == "total":
                self.scalar(node.name + "_acc", "double")
                self.put(f"{node.name}_acc = 0.0")
            else:
                self.array(node.name)
                self.array(node.name + "_at", "int")
                self.scalar("largest")
                self.put(f"{node.name}[i], {node.name}_at[i] = -fl_inf, 0")
        self.over_blocks()
        self.put("fl_row_ahead(<const char*>(z_i + b), m * sizeof(z_i[0]))")
        self.running_rows(self.runs(everything))
        for node in lasts:
            for name, of in self.ends(node):
                self.put(f"{self.array(name)}[i] = {of}[m - 1]")
        if nodes:
            self.block("for k in range(m):")
            for index, node in enumerate(nodes):
                self.put(f"terms[{index}][k] = {self.call(node, True)}")
            self.end()
        for index, node in enumerate(nodes):
            if node.options["without"]:
                self.block("if b <= label[i] < b + m:")
                self.put(f"terms[{index}][label[i] - b] = {'-fl_inf' if node.kind == 'largest' else '0'}")
                self.end()
            if node.kind == "total":
                self.put(f"{node.name}_acc = {node.name}_acc + fl_row_sum_{self.suffix}(terms[{index}], m)")
            else:
                self.put(f"largest = fl_row_max_{self.suffix}(terms[{index}], m)")
                self.block(f"if largest > {node.name}[i] or largest != largest:")
                self.put(f"{node.name}_at[i] = <int>(b + fl_row_find_{self.suffix}(terms[{index}], m, largest))")
                self.put(f"{node.name}[i] = largest")
                self.end()
        self.next_block()
        for node in nodes:
            if node.kind == "total":
                self.array(node.name)
                self.put(f"{node.name}[i] = <{self.real}>{node.name}_acc")
        self.end()

    # ---- outputs ---------------------------------------------------------------------------------------------------------------
    def outputs_text(self):
        self.over_samples()
        self.put(f"loss[i] = {self.call(self.program.parts['value'], False)}")
        for fix in self.plan.fixes:
            name = self.array(f"{fix.options['part']}_{fix.name}")
            self.put(f"{name}[i] = factor[i] * {self.call(fix, False)}")
        self.end()
        # the gradient last: it may stand where the exponentials do
        parts = [part for part in self.plan.parts if part != "value"][::-1]
        if not parts:
            return
        nodes = [self.program.parts[part] for part in parts]
        if self.lanes:
            self.lanes_loop([lambda part=part: ([], [self.result(part)]) for part in parts], nodes)
        else:
            self.row_head()
            self.over_blocks()
            self.running_rows(self.runs(nodes))
            self.block("for k in range(m):")
            for part in parts:
                self.put(self.result(part))
            self.end()
            self.next_block()
            self.end()
        if self.plan.fixes:
            self.over_samples("a.n")
            for fix in self.plan.fixes:
                part, place = fix.options["part"], fix.options["place"]
                index = "label[i]" if place == "label" else f"{place}_at[i]"
                where = f"{index} * FL_LANES + i" if self.lanes else f"i * a.{part}_pitch + {index}"
                self.put(f"{part}[{where}] = {part}_{fix.name}[i]")
            self.end()

    def result(self, part):
        where = "[j * FL_LANES + i]" if self.lanes else "_i[b + k]"
        return f"{OUTPUTS[part]}{where} = factor[i] * {self.call(self.program.parts[part], True)}"


def variants(definition):
    """Constants of the kernels that are made: usual parameters without class weights, any without, any with."""
    usual, unweighted = program_of(definition).usual, {"c": 1.0, "c_label": 1.0} if definition.weights else {}
    return [usual | unweighted] * bool(usual) + [unweighted] + [{}] * bool(unweighted)


def definition_text(definition):
    """(lines, rows of the kernel table) of one definition in all dtypes, forms and output sets."""
    program, lines, table = program_of(definition), [], []
    for suffix in REAL:
        done = set()
        for node in program.formula_nodes():
            lines += function_text(node.formula, program.name, suffix, done)
        for form in FORMS:
            for outputs in program.output_sets:
                names = []
                for number, constants in enumerate(variants(definition)):
                    name = f"{program.name}_{suffix}_{form}_{outputs}_{number}"
                    lines += Kernel(program, suffix, outputs, constants, form).text(name)
                    names.append(name)
                table.append((suffix, form, outputs, names))
    return lines, table


def module_text():
    """Everything that is generated for rowwise losses, as one file that each instruction set's module includes."""
    lines = ["# Generated by fastloss/compiler/rows_cython.py from fastloss/losses. Not to be edited, not kept in git.", ""]
    kernels, table, sets = [definition for definition in ROW_REGISTRY.values() if not definition.base], {}, len(OUTPUT_SETS)
    for row, definition in enumerate(kernels):
        text, made = definition_text(definition)
        lines += text
        for suffix, form, outputs, names in made:
            for variant, name in enumerate(names):
                table[suffix, row, FORMS.index(form), list(OUTPUT_SETS).index(outputs), variant] = name
    for suffix in REAL:
        lines.append(f"cdef row_kernel row_kernels_{suffix}[{len(kernels)}][2][{sets}][3]")
        lines += [f"row_kernels_{suffix}{index(*at)} = {name}" for (which, *at), name in table.items() if which == suffix]
    facts = {}
    for row, definition in enumerate(kernels):
        parameters = list(definition.parameters)
        usual = {parameters.index(name): value for name, value in program_of(definition).usual.items()}
        facts[definition.name] = (row, usual, len(variants(definition)))
    lines.append(f"ROW_KERNELS = {facts!r}")
    lines.append(f"ROW_DIGESTS = { ({definition.name: digest(definition) for definition in kernels})!r}")
    return "\n".join(lines) + "\n"


def index(*numbers):
    return "".join(f"[{number}]" for number in numbers)


def digest(definition):
    """A fingerprint of a rowwise definition, as compiler/subset.py's of an elementwise one."""
    import hashlib

    def text(formula):
        return ast.dump(formula.tree) + "".join(text(helper) for _, helper in sorted(formula.helpers.items()))

    program = program_of(definition)
    whole = "".join(f"{node.kind}{node.options}{text(node.formula)}" for node in program.formula_nodes())
    return hashlib.sha256(whole.encode()).hexdigest()[:16]
