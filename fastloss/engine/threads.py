"""How many threads a call gets."""

import functools
import os

from fastloss.engine.errors import SettingError

# ns of work that each thread must have, so that waking it is the small part. Measured on two cores of Zen 4: two threads win from 10 us
# of one thread's work on where calls follow each other so fast that threads still spin, and from 33 us on where they had gone to sleep;
# before that, they lose the 1.5 us that a wake-up takes.
PAYS = 10_000.0


def _quota():
    """CPUs that the cgroup allows, rounded up; None if it sets no limit."""
    try:
        with open("/sys/fs/cgroup/cpu.max") as file:
            limit, period = file.read().split()
        return None if limit == "max" else max(1, -(-int(limit) // int(period)))
    except (OSError, ValueError):
        return None


def allowed():
    """CPUs that this process may use: affinity and cgroup."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota()
    return cpus if quota is None else min(cpus, quota)


@functools.cache
def default():
    """Threads of a call that does not say: FASTLOSS_NUM_THREADS, else OMP_NUM_THREADS, never more than allowed(). Looked up once."""
    for name in ("FASTLOSS_NUM_THREADS", "OMP_NUM_THREADS"):
        text = os.environ.get(name, "").split(",")[0].strip()
        if text:
            if not text.isdecimal() or int(text) < 1:
                raise SettingError(f"the environment variable {name} must be a whole number from 1, got {text!r}")
            return min(int(text), allowed())
    return allowed()


def choose(n_threads, nanoseconds):
    """Threads for work that takes one thread so long. An explicit n_threads is taken at its word."""
    if n_threads is None:
        return max(1, min(default(), int(nanoseconds / PAYS)))
    if isinstance(n_threads, bool) or not hasattr(n_threads, "__index__") or n_threads.__index__() < 1:
        raise ValueError(f"`n_threads` must be a whole number from 1, or None for as many as pay, got {n_threads!r}")
    return min(n_threads.__index__(), 256)
