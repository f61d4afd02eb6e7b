"""The compiled kernels as a backend."""

import functools

FMA = ("x86-64-v3", "x86-64-v4", "aarch64")  # explicit fma: one bit family


class CythonBackend:
    name = "cython"

    def __init__(self, level, module):
        self.isa, self.module = level, module
        self.bits = "fma" if level in FMA else "no-fma"
        self.run = module.run
        self.output_sets = module.OUTPUT_SETS

    def bind(self, definition, dtype, parameters, target, prediction, signed_labels):
        return self.module.Bound(definition.name, dtype == "float64", parameters, target, prediction, signed_labels)

    def nanoseconds(self, definition, dtype):
        arithmetic, transcendental = (0.3, 0.5) if dtype == "float32" and not definition.wide else (0.6, 2.0)
        return arithmetic + transcendental * self.module.TRANSCENDENTALS[definition.name]

    def short(self, narrow, wide):
        """cost(y, p, w) of plain small arrays, or None for what it leaves to the general way."""
        return functools.partial(self.module.cost, narrow, wide)
