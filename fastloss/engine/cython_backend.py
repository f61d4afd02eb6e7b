"""The compiled kernels as a backend. A loss that has none here, one of the user's own, brings kernels that Numba compiled (or once did)
to the same driver: at the address of its kernel ends what differs."""

from fastloss.engine import memory, threads
from fastloss.engine.backends import OUTPUT_SETS
from fastloss.engine.slabs import PARTS

FMA = ("x86-64-v3", "x86-64-v4", "aarch64")  # explicit fma: one bit family


class CythonBackend:
    name = "cython"

    def __init__(self, level, module):
        self.isa, self.module = level, module
        self.bits = "fma" if level in FMA else "no-fma"
        self.run, self.run_plain, self.run_rows = module.run, module.run_plain, module.run_rows
        self.output_sets, self.capsule = module.OUTPUT_SETS, module.capsule

    def bind(self, definition, dtype, parameters, target, prediction, signed_labels):
        given = definition.name, dtype == "float64", parameters, target, prediction, signed_labels
        return self.module.Bound(*given, _maker(definition, str(dtype), parameters)) if definition.own else self.module.Bound(*given)

    def bind_rows(self, definition, dtype, parameters, class_weight, targets, scores, ignore):
        return self.module.RowBound(definition.name, dtype == "float64", parameters, class_weight, targets, scores, ignore)

    def nanoseconds(self, bound, output_set, summed, weighted, outputs):
        return bound.nanoseconds(output_set, summed, weighted, outputs)

    def calls(self, narrow, wide, root):
        """The short way of a configured loss: kernels/calls.pxi."""
        return self.module.Calls(narrow, wide, root, threads.get_num_threads, threads.PAYS, memory.empty)

    def row_calls(self, narrow, wide, labels, weights, parts, nanoseconds):
        """The same of a loss of rows: kernels/rowshort.pxi."""
        return self.module.RowCalls(narrow, wide, labels, weights, parts, nanoseconds, threads.get_num_threads, threads.PAYS, memory.empty)


def _maker(definition, dtype, parameters):
    """make(which of the output sets): the address of the kernel that computes it, which lives as long as this function."""
    from fastloss.compiler.objects import kernel, switches

    fixed, made = switches(definition, parameters), {}

    def make(which):
        made[which] = kernel(definition, tuple(PARTS[part] for part in OUTPUT_SETS[which]), dtype, fixed)
        return made[which].address

    return make
