"""New arrays for outputs: ``empty``, which is np.empty but that the memory of large ones is kept when they are gone, for the next of about
their size (kernels/memory.h says how and why). Where nothing was compiled it is np.empty.

FASTLOSS_KEEP_MB   how many megabytes may be kept, 0 for none; 1/16 of the memory that this process may use if not set, 1 GiB at most
"""

import contextlib
import functools
import os
import sys

import numpy as np

from fastloss.engine.errors import SettingError

LONG = 65536  # elements that an array of large memory has
try:
    from fastloss.kernels.memory import KEEPS, ask, empty
except ImportError:  # nothing was compiled
    KEEPS, empty = False, np.empty

MOST, SHARE = 1 << 30, 16  # room for the gradients of 2**28 float32, unless the machine is so small that somebody would miss it


def _limits():
    """Yield the limits of this process's memory, in bytes: the machine's, those of its cgroups, its own."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for path in _cgroups():
        with contextlib.suppress(OSError, ValueError), open(path) as file:  # ValueError: "max"
            yield int(file.read())
    with contextlib.suppress(ImportError):
        import resource

        for name in ("RLIMIT_AS", "RLIMIT_DATA"):
            limit = resource.getrlimit(getattr(resource, name))[0] if hasattr(resource, name) else resource.RLIM_INFINITY
            if limit != resource.RLIM_INFINITY:
                yield limit


def _cgroups(told="/proc/self/cgroup", root="/sys/fs/cgroup"):
    """The files that may hold a limit: of the groups that this process is in and of those above them."""
    try:
        with open(told) as file:
            lines = file.read().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers in ("", "memory"):
            base, name = (f"{root}/memory", "memory.limit_in_bytes") if controllers else (root, "memory.max")
            parts = [part for part in group.split("/") if part]
            yield from ("/".join((base, *parts[:count], name)) for count in range(len(parts), -1, -1))


def _huge():
    """Does Linux give large pages to those who ask for them?"""
    try:
        with open("/sys/kernel/mm/transparent_hugepage/enabled") as file:
            return "[never]" not in file.read()
    except OSError:
        return False


@functools.cache
def settings():
    """(Bytes that may be kept, are they to be marked as free to the kernel.) Looked up once."""
    text = os.environ.get("FASTLOSS_KEEP_MB", "").strip()
    if text and not text.isdecimal():
        raise SettingError(f"the environment variable FASTLOSS_KEEP_MB must be a whole number from 0, got {text!r}")
    if not KEEPS:
        return 0, False
    return min(int(text) * 10**6, sys.maxsize) if text else min(MOST, min(_limits(), default=0) // SHARE), _huge()


if KEEPS:
    ask(settings)


def empty_like(like, dtype=None):
    """np.empty_like(like, dtype)."""
    if type(like) is not np.ndarray or like.size < LONG or not like.flags.forc:
        return np.empty_like(like, dtype=dtype)
    return empty(like.shape, like.dtype if dtype is None else dtype, "C" if like.flags.c_contiguous else "F")
