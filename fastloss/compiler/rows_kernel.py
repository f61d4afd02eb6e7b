"""What the two forms of rowwise kernels share: how a Plan's names, steps and outputs are written as Cython. See rows_cython.py."""

from fastloss.compiler.cython import REAL
from fastloss.compiler.rowprogram import OUTPUTS, Plan


class Kernel:
    """One kernel: a program for a set of outputs, a dtype and some known constants. A form (Lanes, Rows) says what an element is and writes
    the loops over classes: element, exponential_of, owed, label_score, place_of, stage, declarations, results."""

    def __init__(self, program, suffix, outputs, constants):
        self.program, self.suffix, self.real, self.constants = program, suffix, REAL[suffix], constants
        self.f = "f" if suffix == "f32" else ""  # of C functions' names
        self.plan = Plan(program, outputs, constants)
        self.lines, self.depth, self.declared = [], 1, {}

    # ---- writing -----------------------------------------------------------------------------------------------------------
    def put(self, text):
        self.lines.append("    " * self.depth + text)

    def block(self, text):
        self.put(text)
        self.depth += 1

    def end(self, levels=1):
        self.depth -= levels

    def array(self, name, kind=None):
        self.declared[name] = f"cdef {kind or self.real} {name}[FL_ACROSS]"
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
            return (
                self.exponential(node, "i", self.of(node, label=True)) if node.kind == "partition" else self.call(node, False, label=True)
            )
        if name == "label" or name.endswith("_at"):
            return f"(<{self.real}>{self.row(name)})"
        return self.row(name)

    def row(self, name):
        return f"{name}[i]"

    def step_element(self, name):
        """A step's number of this class, or None if the name is none of that kind."""
        node = self.plan.makers.get(name)
        if node is None or name in node.makes or name.endswith("_label"):
            return None
        if node.kind == "each":
            return self.call(node, True)
        if node.kind == "running":
            return self.running_of(node, "low" if name == node.name + "_low" else "run")
        return self.owed() if node.kind == "pairs" else self.exponential_of(node)

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
    def over_samples(self, limit="FL_ACROSS"):
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
        rest = f"{run.name}_low[{index}] = <{self.real}>(({total} - {shown}) + {low})"
        return [*self.two_sum(total, low, value), f"{shown} = <{self.real}>({total} + {low})", rest]

    def two_sum(self, total, low, value):
        """total += value, and low += what that rounds away, exactly (Knuth)."""
        for name in ("term_", "sum_", "back_"):
            self.scalar(name)
        rounded = f"(({total} - (sum_ - back_)) + (term_ - back_))"
        return [f"term_ = {value}", f"sum_ = {total} + term_", f"back_ = sum_ - {total}", f"{low} = {low} + {rounded}", f"{total} = sum_"]

    @staticmethod
    def ends(node):
        """(name, array) pairs of what a step Last takes from its running sum."""
        return zip(node.makes, (node.options["of"] + "_run", node.options["of"] + "_low"), strict=True)

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
        for stage, nodes in enumerate(self.plan.stages):
            self.once(stage - 1)
            self.reduce(nodes)
        self.once(len(self.plan.stages) - 1)
        self.outputs_text()
        pointers = [("z", "in"), ("y", "in"), ("c", "in")] + [(OUTPUTS[part], "out") for part in self.plan.parts]
        head = [f"cdef void {name}(const RowTile* a) noexcept nogil:"]
        head += [f"    cdef fl_{way}_{self.suffix} {pointer} = <{self.real}*>a.{pointer}" for pointer, way in pointers]
        head += self.pointers()
        head += ["    cdef Py_ssize_t i, j, k, b, m, p", f"    cdef const {self.real}* factor = <const {self.real}*>a.factor"]
        for index, parameter in enumerate(self.program.parameters):
            head.append(f"    cdef {self.real} q_{parameter} = <{self.real}>a.parameters[{index}]")
        head += ["    " + line for line in self.declared.values()]
        return [*head, *self.lines, ""]

    def head_values(self):
        if self.program.labels:
            self.put("label = a.label")
            self.declared["label"] = "cdef const int* label"
            for name in ("z_label", "c_label"):
                if self.plan_needs(name):
                    self.array(name)
                    if name == "z_label":
                        self.label_scores()
                        continue
                    self.over_samples("a.n")
                    self.put("c_label[i] = c[label[i]]")
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
            if self.scales_at_end:
                self.scale(node)
            if self.plan.needs(norm):
                self.array(norm)
                self.put(f"{norm}[i] = {self.number(1.0)} / ({e_top}[i] + {rest}[i])")
            if self.plan.needs(log_rest):
                self.array(log_rest)
                self.put(f"{log_rest}[i] = fl_log1p{self.f}({rest}[i] / {e_top}[i])")
        if hit:
            self.array("hit")
            self.put(f"hit[i] = <{self.real}>({self.hit()})")
        for node in nodes:
            self.array(node.name)
            self.put(f"{node.name}[i] = {self.call(node, False)}")
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
        self.results(parts)
        for fix in self.plan.fixes:
            self.fix(fix.options["part"], fix.options["place"], f"{fix.options['part']}_{fix.name}")

    def fix(self, part, place, values):
        """What a part of the outputs is at a place of each row."""
        self.over_samples("a.n")
        index = "label[i]" if place == "label" else f"{place}_at[i]"
        self.put(f"{part}[{self.place(part, index)}] = {values}[i]")
        self.end()

    def label_scores(self):
        self.over_samples("a.n")
        self.put(f"z_label[i] = z[{self.place('z', 'label[i]')}]")
        self.end()

    def hit(self):
        return "top_at[i] == label[i]"

    def result(self, part, where):
        return f"{OUTPUTS[part]}{where} = factor[i] * {self.call(self.program.parts[part], True)}"
