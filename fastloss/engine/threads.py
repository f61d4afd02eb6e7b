"""How many threads a call gets."""

import functools
import os

from fastloss.engine.errors import SettingError

MOST = 256  # of a call
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


_limit = None  # what set_num_threads said


def set_num_threads(n):
    """At most how many threads the calls of this process get that do not say `n_threads` themselves. Results are the same for any number.

    n: a whole number from 1, of which no more count than there are CPUs that the process may use; None: back to the default, which is
    FASTLOSS_NUM_THREADS, else OMP_NUM_THREADS, else all those CPUs. threadpoolctl's limits set the same number.
    """
    global _limit
    _limit = None if n is None else min(_whole("n", n, "the default"), allowed())


def get_num_threads():
    """At most how many threads a call gets that does not say `n_threads` itself; fewer where the work would not pay for them."""
    return _limit or default()


def choose(n_threads, nanoseconds):
    """Threads for work that takes one thread so long. An explicit n_threads is taken at its word."""
    if n_threads is None:
        return max(1, min(get_num_threads(), int(nanoseconds / PAYS)))
    return min(_whole("n_threads", n_threads, "as many as pay"), MOST)


def _whole(name, n, default):
    if isinstance(n, bool) or not hasattr(n, "__index__") or n.__index__() < 1:
        raise ValueError(f"`{name}` must be a whole number from 1, or None for {default}, got {n!r}")
    return n.__index__()
