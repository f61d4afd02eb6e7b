"""Rowwise kernels for many classes: loops run along the row, in blocks that stay in the first cache. See rows_cython.py."""

from fastloss.compiler.rowprogram import OUTPUTS, plain_name
from fastloss.compiler.rows_kernel import Kernel


class Rows(Kernel):
    """Element k of the block that begins at class b of row i is z_i[b + k]; exponentials are computed again where they are used again.

    A block of m classes is computed as ``full``, the next multiple of FL_WIDE: what is read behind a row is there, and is not used."""

    scales_at_end = True
    most_terms = 0

    def element(self, name):
        if name in ("z", "y"):
            return f"{name}_i[b + k]"
        return {"c": "c[b + k]", "j": f"(<{self.real}>(b + k))"}.get(name) or self.step_element(name)

    def place(self, array, index):
        return f"i * a.{array}_pitch + {index}"

    def running_of(self, run, part):
        return f"{run.name}_{part}[k]"

    def exponential_of(self, node):
        return self.exponential(node, "i", self.of(node))

    def owed(self):
        return "owed[i * a.classes + b + k]"

    def pointers(self):
        lines = [f"    cdef const {self.real}* {pointer}_i" for pointer in ("z", "y")]
        return lines + [f"    cdef {self.real}* {OUTPUTS[part]}_i" for part in self.plan.parts if part != "value"]

    def reduce(self, nodes):
        for node in nodes:
            if node.kind == "partition":
                self.find_partition(node)
            if node.kind == "threshold":
                self.over_samples("a.n")
                places = ", ".join(f"&{self.array(name)}[i]" for name in node.makes)
                self.put(f"fl_threshold_row_{self.suffix}(z + i * a.z_pitch, a.classes, {places})")
                self.end()
            if node.kind == "pairs":
                self.count_pairs()
        others = [node for node in nodes if node.kind not in ("partition", "threshold", "pairs")]
        if others:
            self.sum_up(others)

    def count_pairs(self):
        """Of all rows before any gradient is stored, which may be in the place of their scores."""
        owed = "NULL"
        if "owed" in self.plan.stored():
            self.declared["owed"] = f"cdef {self.real}* owed = <{self.real}*>a.kept[0]"
            owed = "owed + i * a.classes"
        self.over_samples("a.n")
        given = f"z + i * a.z_pitch, y + i * a.y_pitch, a.classes, {self.refer('margin', False)}, {owed}"
        self.put(f"{self.array('hinges')}[i] = fl_pairs_row_{self.suffix}({given})")
        self.end()

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
        self.scalar("full", "Py_ssize_t")
        self.put("full = (m + FL_WIDE - 1) & -FL_WIDE")

    def next_block(self):
        self.put("b = b + FL_BLOCK")
        self.end()

    def find_partition(self, node):
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
        self.put("fl_ahead(a.ahead + (i * a.classes + b) * a.ahead_step, m * a.ahead_step)")
        self.run_up(self.runs([node]))
        if of in ("z", "y"):
            self.put(f"source = {of}_i + b")
        else:
            self.block("for k in range(full):")
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
        self.block("for k in range(full):")
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

    def run_up(self, runs):
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

    def sum_up(self, nodes):
        lasts, everything = [node for node in nodes if node.kind == "last"], nodes
        nodes = [node for node in nodes if node.kind != "last"]
        self.most_terms = max(self.most_terms, len(nodes))  # of all stages
        if nodes:
            self.declared["terms"] = f"cdef {self.real} terms[{self.most_terms}][FL_BLOCK + FL_SPARE]"
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
        self.put("fl_ahead(a.ahead + (i * a.classes + b) * a.ahead_step, m * a.ahead_step)")
        self.run_up(self.runs(everything))
        for node in lasts:
            for name, of in self.ends(node):
                self.put(f"{self.array(name)}[i] = {of}[m - 1]")
        if nodes:
            self.block("for k in range(full):")
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
                self.put(f"largest = fl_row_max_or_nan_{self.suffix}(terms[{index}], m)")
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

    def results(self, parts):
        self.row_head()
        self.over_blocks()
        self.run_up(self.runs([self.program.parts[part] for part in parts]))
        for part in parts:
            self.declared[f"{part}_room"] = f"cdef {self.real} {part}_room[FL_BLOCK]"
        self.block("for k in range(full):")
        for part in parts:
            self.put(self.result(part, "_room[k]"))
        self.end()
        for part in parts:
            self.put(f"fl_deliver({OUTPUTS[part]}_i + b, {part}_room, m * sizeof({part}_room[0]), a.stream)")
        self.next_block()
        self.end()
