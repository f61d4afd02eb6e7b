"""Rowwise kernels for few classes: samples lie across the lanes. See rows_cython.py."""

from fastloss.compiler.rowprogram import OUTPUTS
from fastloss.compiler.rows_kernel import Kernel

PART = 4  # classes that are summed one after another; their sums are added without loss: so many roundings add up, and no more


class Work:
    """What a loop over classes does for one purpose, as lines per sample: before it, within it, after it; before and after every PART."""

    def __init__(self, before=(), within=(), after=(), head=(), tail=()):
        self.before, self.within, self.after, self.head, self.tail = before, within, after, head, tail


class Lanes(Kernel):
    """Element (class j, sample i) of a tile is z[j * FL_ACROSS + i]; exponentials and counts of pairs are stored."""

    scales_at_end = False
    asked_ahead = False  # in one of the loops over classes, the one with most work: for the next tile

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
        return f"{self.store_of(node.options['prefix'] + 'e')}[j * FL_ACROSS + i]"

    def owed(self):
        return f"{self.store_of('owed')}[j * FL_ACROSS + i]"

    def pointers(self):
        return []

    def label_scores(self):
        self.put(f"fl_label_get_{self.suffix}(z, label, a.classes, z_label)")

    def fix(self, part, place, values):
        if place == "label":
            self.put(f"fl_label_put_{self.suffix}({OUTPUTS[part]}, label, a.classes, {values})")
        else:
            super().fix(part, place, values)

    def placed(self, node):
        """Is it asked where a partition's largest stands? If not, it is known by its value, which costs less."""
        return self.plan.needs(node.makes[1]) or any(fix.options["place"] == node.makes[0] for fix in self.plan.fixes)

    def plan_needs(self, name):
        if super().plan_needs(name) or not self.plan.needs("hit"):
            return super().plan_needs(name)
        of = self.plan.makers["top"].options["of"]
        return name[0] in ({of} if of == "z" else self.closure(self.plan.makers[of]))

    def hit(self):
        # of several largest, the label's is as good as the first; and the same whether or not it is known where the first stands
        return f"{self.of(self.plan.makers['top'], label=True)} == top[i]"

    def reduce(self, nodes):
        partitions = [node for node in nodes if node.kind == "partition"]
        others = [node for node in nodes if node.kind not in ("partition", "threshold", "pairs")]
        for node in nodes:
            if node.kind == "threshold":
                self.put(f"fl_threshold_lanes_{self.suffix}(z, a.classes, {', '.join(map(self.array, node.makes))})")
            if node.kind == "pairs":
                owed = self.store_of("owed") if "owed" in self.stored else "NULL"
                given = f"a.classes, {self.refer('margin', False)}, {self.array('hinges')}, {owed}"
                self.put(f"fl_pairs_lanes_{self.suffix}(z, y, {given})")
        if partitions:
            self.loop([lambda node=node: self.find_top(node) for node in partitions], partitions, finding=True)
            self.over_samples()
            for node in partitions:
                self.scale(node)
            self.end()
        actions = [lambda node=node: self.sum_rest(node) for node in partitions]
        for node in others:
            if node.kind == "largest":
                actions.append(lambda node=node: self.find_largest(node, *node.makes, self.call(node, True), node.options["without"]))
            elif node.kind == "last":
                actions.append(lambda node=node: Work(within=[f"{self.array(name)}[i] = {of}[i]" for name, of in self.ends(node)]))
            else:
                actions.append(lambda node=node: self.sum_total(node))
        if actions:
            self.loop(actions, nodes)

    def loop(self, actions, nodes, finding=False):
        """for j: for i: all actions, which give Work."""
        runs = [Work(*self.run_work(run)) for run in self.runs(nodes)]
        works = runs + [action() for action in actions]
        lines = {part: [line for work in works for line in getattr(work, part)] for part in vars(Work())}
        self.per_sample(lines["before"])
        if lines["head"]:
            self.block(f"for b in range(0, a.classes, {PART}):")
            self.per_sample(lines["head"])
        self.block(f"for j in range(b, min(b + {PART}, a.classes)):" if lines["head"] else "for j in range(a.classes):")
        if not self.asked_ahead and not finding:
            self.put("fl_ahead(a.ahead + j * a.ahead_step, a.ahead_step)")
            self.asked_ahead = True
        self.per_sample(lines["within"])
        self.end()
        if lines["head"]:
            self.per_sample(lines["tail"])
            self.end()
        self.per_sample(lines["after"])

    def per_sample(self, lines):
        if lines:
            self.over_samples()
            for line in lines:
                self.put(line)
            self.end()

    def run_work(self, run):
        for part in ("_run", "_low"):
            self.array(run.name + part)
        sums = [f"{self.array(run.name + part, kind)}[i]" for part, kind in (("_sum", None), ("_rest", "double"))]
        return [f"{one} = 0" for one in sums], self.run_step(run, "i", *sums)

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
        return Work([f"{name}[i] = -fl_inf", f"{place}[i] = 0"], lines)

    def find_top(self, node):
        name, place, *_ = node.makes
        if self.placed(node):
            return self.find_largest(node, name, place, self.of(node), None)
        self.array(name)
        return Work([f"{name}[i] = -fl_inf"], [f"{name}[i] = fl_max{self.f}({name}[i], {self.of(node)})"])

    def sum_rest(self, node):
        prefix = node.options["prefix"]
        top, _, e_top, rest, *_ = node.makes
        self.array(rest)
        self.array(e_top)
        self.scalar("v")
        self.scalar("more", "bint")
        lines = [f"v = {self.exponential(node, 'i', self.of(node))}"]
        if prefix + "e" in self.stored:
            lines.append(f"{self.store_of(prefix + 'e')}[j * FL_ACROSS + i] = v")
        # what is as large as the top is counted: asked by place, where that is known, ties would be summed in another order
        lines.append(f"more = {self.of(node)} == {top}[i]")
        part, low, ties = (self.array(prefix + name) for name in ("part", "part_low", "ties"))
        lines += [f"{part}[i] = {part}[i] + fl_where{self.f}(more, 0, v)", f"{ties}[i] = {ties}[i] + fl_where{self.f}(more, 1, 0)"]
        before = [f"{rest}[i] = {low}[i] = 0", f"{ties}[i] = -1"]
        after = [f"{rest}[i] = {rest}[i] + {low}[i]", f"{e_top}[i] = {self.exponential(node, 'i', top + '[i]')}"]
        after.append(f"{rest}[i] = {rest}[i] + ({ties}[i] * {e_top}[i] if {ties}[i] > 0 else 0)")
        return Work(before, lines, after, head=[f"{part}[i] = 0"], tail=self.two_sum(f"{rest}[i]", f"{low}[i]", f"{part}[i]"))

    def store_of(self, name):
        if name in self.in_output:
            return "gradient"
        index = self.stored.index(name) - len(self.in_output)
        self.declared[name + "_kept"] = f"cdef {self.real}* {name}_kept = <{self.real}*>a.kept[{index}]"
        return name + "_kept"

    def sum_total(self, node):
        self.array(node.name)
        value = self.call(node, True)
        if node.options["without"]:
            value = f"fl_where{self.f}(label[i] == <int>j, 0, {value})"
        # one after another, up to FL_FEW roundings would add up: they are undone
        low = self.array(node.name + "_rest")
        after = f"{node.name}[i] = {node.name}[i] + fl_where{self.f}({low}[i] - {low}[i] == 0, {low}[i], 0)"  # of infinite sums it is NaN
        return Work([f"{node.name}[i] = {low}[i] = 0"], self.two_sum(f"{node.name}[i]", f"{low}[i]", value), [after])

    def results(self, parts):
        nodes = [self.program.parts[part] for part in parts]
        self.loop([lambda part=part: Work(within=[self.result(part, "[j * FL_ACROSS + i]")]) for part in parts], nodes)
