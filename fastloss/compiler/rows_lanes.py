"""Rowwise kernels for few classes: samples lie across the lanes. See rows_cython.py."""

from fastloss.compiler.rows_kernel import Kernel


class Lanes(Kernel):
    """Element (class j, sample i) of a tile is z[j * FL_ACROSS + i]; exponentials are stored."""

    scales_at_end = False

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.stored = self.plan.stored()
        # the first of them live where the gradient goes: their last use is the gradient itself
        self.in_output = self.stored[:1] if "gradient" in self.plan.parts else []

    def element(self, name):
        if name in ("z", "y"):
            return f"{name}[j * FL_ACROSS + i]"
        return {"c": "c[j]", "j": f"(<{self.real}>j)"}.get(name) or self.step_element(name)

    def place(self, array, index):
        return f"{index} * FL_ACROSS + i"

    def running_of(self, run, part):
        return f"{run.name}_{part}[i]"

    def exponential_of(self, node):
        return f"{self.store_of(node.options['prefix'])}[j * FL_ACROSS + i]"

    def pointers(self):
        return []

    def reduce(self, nodes):
        partitions = [node for node in nodes if node.kind == "partition"]
        others = [node for node in nodes if node.kind not in ("partition", "threshold")]
        for node in nodes:
            if node.kind == "threshold":
                self.put(f"fl_threshold_lanes_{self.suffix}(z, a.classes, {', '.join(map(self.array, node.makes))})")
        if partitions:
            self.loop([lambda node=node: self.find_largest(node, *node.makes[:2], self.of(node), None) for node in partitions], partitions)
            self.over_samples()
            for node in partitions:
                self.scale(node)
            self.end()
        actions = [lambda node=node: self.sum_rest(node) for node in partitions]
        for node in others:
            if node.kind == "largest":
                actions.append(lambda node=node: self.find_largest(node, *node.makes, self.call(node, True), node.options["without"]))
            elif node.kind == "last":
                actions.append(lambda node=node: ([], [f"{self.array(name)}[i] = {of}[i]" for name, of in self.ends(node)]))
            else:
                actions.append(lambda node=node: self.sum_total(node))
        if actions:
            self.loop(actions, nodes)

    def loop(self, actions, nodes):
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

    def find_largest(self, node, name, place, value, without):
        self.array(name)
        self.array(place, "int")
        self.scalar("v")
        lines = [f"v = {value}"]
        sticky = "" if node.kind == "partition" else " | (v != v)"
        self.scalar("more", "bint")
        test = f"((v > {name}[i]){sticky}) & (label[i] != <int>j)" if without else f"(v > {name}[i]){sticky}"
        picked = f"{place}[i] = fl_pick(more, <int>j, {place}[i])"
        lines += [f"more = {test}", picked, f"{name}[i] = fl_where{self.f}(more, v, {name}[i])"]
        return [f"{name}[i] = -fl_inf", f"{place}[i] = 0"], lines

    def sum_rest(self, node):
        prefix = node.options["prefix"]
        _, place, e_top, rest, *_ = node.makes
        self.array(rest)
        self.array(e_top)
        self.scalar("v")
        self.scalar("more", "bint")
        lines = [f"v = {self.exponential(node, 'i', self.of(node))}"]
        if prefix in self.stored:
            lines.append(f"{self.store_of(prefix)}[j * FL_ACROSS + i] = v")
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

    def sum_total(self, node):
        self.array(node.name)
        value = self.call(node, True)
        if node.options["without"]:
            value = f"fl_where{self.f}(label[i] == <int>j, 0, {value})"
        # one after another, up to FL_FEW roundings would add up: they are undone
        low = self.array(node.name + "_rest")
        after = f"{node.name}[i] = {node.name}[i] + fl_where{self.f}({low}[i] - {low}[i] == 0, {low}[i], 0)"  # of infinite sums it is NaN
        return [f"{node.name}[i] = {low}[i] = 0"], self.two_sum(f"{node.name}[i]", f"{low}[i]", value), after

    def results(self, parts):
        nodes = [self.program.parts[part] for part in parts]
        self.loop([lambda part=part: ([], [self.result(part, "[j * FL_ACROSS + i]")]) for part in parts], nodes)
