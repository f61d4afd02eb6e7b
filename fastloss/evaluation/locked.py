"""One process at a time writes a state file: a lock beside it, which the system lets go of when its process ends, however it does."""

import os
import socket
from contextlib import contextmanager

from fastloss.evaluation.errors import RequestError

try:
    import fcntl
except ImportError:  # Windows: two runs that save to one file are not noticed
    fcntl = None


@contextmanager
def locked(path):
    """Hold the lock of a state file. RequestError, with the process that holds it, if another does.

    The lock is the system's (flock) on a hidden file beside the state, and not that this file exists: one that a killed process left is
    free. It holds process and host, for messages, and is removed at the end. File systems without locks are written to without one.
    """
    if fcntl is None:
        yield
        return
    folder, name = os.path.split(os.path.realpath(path))
    place = os.path.join(folder, f".{name}.lock")
    handle = taken(place, path)
    try:
        yield
    finally:
        if handle is not None:
            if same(handle, place):
                os.unlink(place)  # while it is held, so that nobody else's goes
            os.close(handle)


def taken(place, path):
    """The open file of a lock that is now held; None where there are no locks."""
    while True:
        try:
            handle = os.open(place, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
        except OSError as error:
            raise RequestError(f"the state cannot be saved to {path}: {error.strerror}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(handle, 300, 0).decode(errors="replace") or "another process"
            os.close(handle)
            raise RequestError(f"{path} is being written by another run ({holder}); wait for it, or save to another file") from error
        except OSError:  # no locks here
            os.close(handle)
            return None
        if same(handle, place):
            break
        os.close(handle)  # its holder has removed it meanwhile
    os.truncate(handle, 0)
    os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
    return handle


def same(handle, place):
    """Whether a path still names an open file."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(place))
    except FileNotFoundError:
        return False
