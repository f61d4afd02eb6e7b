"""The compiled kernels as a backend."""

from fastloss.engine import threads

FMA = ("x86-64-v3", "x86-64-v4", "aarch64")  # explicit fma: one bit family


class CythonBackend:
    name = "cython"

    def __init__(self, level, module):
        self.isa, self.module = level, module
        self.bits = "fma" if level in FMA else "no-fma"
        self.run, self.run_plain = module.run, module.run_plain
        self.output_sets = module.OUTPUT_SETS

    def bind(self, definition, dtype, parameters, target, prediction, signed_labels):
        wide = dtype == "float64"
        return self.module.Bound(definition.name, wide, parameters, target, prediction, signed_labels, self.nanoseconds(definition, dtype))

    def nanoseconds(self, definition, dtype):
        arithmetic, transcendental = (0.3, 0.5) if dtype == "float32" and not definition.wide else (0.6, 2.0)
        return arithmetic + transcendental * self.module.TRANSCENDENTALS[definition.name]

    def calls(self, narrow, wide, root):
        """The short way of a configured loss: kernels/calls.pxi."""
        return self.module.Calls(narrow, wide, root, threads.default(), threads.PAYS)
