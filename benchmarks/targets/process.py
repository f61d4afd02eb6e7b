"""What can only be measured from outside or in a process of its own: memory and start-up time."""

import os
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

from benchmarks.targets.rows import Row
from fastloss.measuring import machine

PEAK = """
import sys
import numpy as np
import fastloss as fl
name, n = sys.argv[1], int(sys.argv[2])
def kilobytes(key):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(key))
cost = getattr(fl, name)
rng = np.random.default_rng(0)
y, p = np.empty(n, np.float32), np.empty(n, np.float32)
rng.standard_normal(out=y, dtype=np.float32)
rng.standard_normal(out=p, dtype=np.float32)
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # the peak starts anew from what is resident now
before = kilobytes("VmRSS")
cost(y, p)
print((kilobytes("VmHWM") - before) * 1024)
"""

IMPORT = """
import time
import numpy
start = time.perf_counter()
import fastloss
fastloss.squared_error
print(time.perf_counter() - start)
"""

HELP = "import sys; from fastloss.cli import main; code = main(['--help']); sys.exit(code or ('numpy' in sys.modules) * 77)"


def peak_memory(loss, n):
    """Bytes above two float32 arrays of n that a process's first cost takes, kernels and threads included.

    None if the machine has not the memory to find out.
    """
    if (machine.available() or 0) < 3 * n * 8:
        return None
    return int(_python(PEAK, loss, str(n)))


def import_seconds(times=15):
    """`import fastloss` and its first attribute, numpy being imported: the least of several processes."""
    return min(float(_python(IMPORT)) for _ in range(times))


def help_seconds(times=15):
    """`fastloss --help`, the whole process: the least of several."""
    script = Path(sysconfig.get_path("scripts")) / "fastloss"
    if not script.exists():
        raise FileNotFoundError(f"{script}: fastloss is not installed in this environment")
    least = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        subprocess.run([script, "--help"], check=True, stdout=subprocess.DEVNULL)
        least = min(least, time.perf_counter() - start)
    return least


def help_imports_numpy():
    """Whether `fastloss --help` imports numpy."""
    code = subprocess.run([sys.executable, "-c", HELP], stdout=subprocess.DEVNULL).returncode
    if code not in (0, 77):
        raise RuntimeError(f"`fastloss --help` ended with exit code {code}")
    return code == 77


def _python(program, *arguments):
    done = subprocess.run([sys.executable, "-c", program, *arguments], check=True, capture_output=True, text=True, env=dict(os.environ))
    return done.stdout


def process(bench):
    """Memory and start-up."""
    for n in (bench.n, 4 * bench.n):
        peak = peak_memory("squared_error", n)
        note = "" if peak is not None else f"needs {3 * n * 8 / 2**30:.1f} GiB of memory"
        what = f"squared_error cost: peak memory above the inputs, n = {n}"
        yield Row(what, None if peak is None else peak / 1e6, "<=", 10, " MB", note)
    yield Row("import fastloss and first attribute, over import numpy", import_seconds() * 1e3, "<=", 30, " ms")
    yield Row("fastloss --help, whole process", help_seconds() * 1e3, "<=", 120, " ms")
    yield Row("fastloss --help: imports of numpy", float(help_imports_numpy()), "<=", 0)
