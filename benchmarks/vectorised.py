"""Did the compiler turn every kernel's loops into vector code? python -m benchmarks.vectorised [LEVEL ...]

A loop that stays scalar is right, and ten times slower; nothing else would notice. Asks GCC, whose reports this understands. Needs the
sources that an install in place leaves in fastloss/kernels. Exit code 1 and the kernels' names if any stayed scalar.
"""

import bisect
import platform
import re
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import numpy

from fastloss.compiler.build import FLAGS, levels, module_name

KERNELS = Path(__file__).resolve().parent.parent / "fastloss" / "kernels"
MACROS = ["-DNPY_NO_DEPRECATED_API=NPY_2_0_API_VERSION", "-DCYTHON_INLINE=inline __attribute__((always_inline))"]


def scalar_kernels(level):
    """(kernels in all, names of those without a vectorised loop)."""
    source = KERNELS / f"{module_name(level)}.c"
    # identical functions would be compiled once and reported once
    flags = [*FLAGS, *levels(platform.machine())[level], *MACROS, "-fPIC", "-fno-ipa-icf", "-fopt-info-vec-optimized"]
    folders = [f"-I{KERNELS}", f"-I{numpy.get_include()}", f"-I{sysconfig.get_paths()['include']}"]
    with tempfile.TemporaryDirectory() as folder:
        command = ["gcc", *flags, *folders, "-c", str(source), "-o", f"{folder}/kernels.o"]
        report = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    kernel = re.compile(r"static void __pyx_f_\w+?" + module_name(level) + r"_(\w+_f(?:32|64)_(?:lgh|lg|gh|l|g))\(.*\{")
    starts = [(number, match[1]) for number, line in enumerate(source.read_text().splitlines(), 1) if (match := kernel.match(line))]
    vectorised = sorted({int(line) for line in re.findall(rf"{source.name}:(\d+):\d+: optimized: loop vectorized", report)})
    missing = []
    for (start, name), (end, _) in zip(starts, [*starts[1:], (starts[-1][0] + 400, "")], strict=True):
        found = bisect.bisect_left(vectorised, start)
        if found == len(vectorised) or vectorised[found] >= min(end, start + 400):
            missing.append(name)
    return len(starts), missing


def main(arguments=None):
    code = 0
    for level in arguments or list(levels(platform.machine())):
        count, missing = scalar_kernels(level)
        print(f"{level}: {count - len(missing)} of {count} kernels are vectorised{': not ' + ', '.join(missing) if missing else ''}")
        code |= bool(missing) or count == 0
    return code


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
