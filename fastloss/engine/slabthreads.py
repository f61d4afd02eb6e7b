"""Threads for the backends in Python: slabs of the data that whoever is free takes next. The work in a slab lets go of the GIL."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np


class Slabs:
    """Slabs of n samples, which of them nobody has taken yet, the workers (one per thread; ``worker`` makes them) and the first error."""

    def __init__(self, n, slab):
        self.n, self.slab = n, slab
        self.next, self.lock, self.error, self.workers = 0, threading.Lock(), None, []

    def run(self, threads):
        """Take all slabs."""
        helpers = start(self.work, threads - 1)
        try:
            self.work()
        finally:
            self.stop()  # also where Ctrl-C came in between two slabs: the helpers write to the caller's arrays
            for helper in helpers:
                if not helper.cancel():
                    helper.result()

    def stop(self):
        with self.lock:
            self.next = self.n

    def take(self):
        with self.lock:
            start, self.next = self.next, max(self.next, min(self.next + self.slab, self.n))
        return start, min(start + self.slab, self.n)

    def work(self):
        """One thread's share: slabs, as long as there are any."""
        worker = self.worker()
        with self.lock:
            self.workers.append(worker)
        start, stop = self.take()
        with np.errstate(all="ignore"):
            while start < stop:
                error = worker.slab(start, stop)
                if error:
                    self.stop()  # slabs are taken in order, so those before this one are in hands already
                    with self.lock:
                        self.error = min(error, self.error or error)
                start, stop = self.take()
        worker.job = None  # which knows its workers: in a cycle the caller's arrays would live until the garbage collector comes


_lock, _pool = threading.Lock(), None


def start(function, count):
    """Run function in so many other threads; returns their futures. The threads stay, and are made as they are needed."""
    global _pool
    if count < 1:
        return []
    with _lock:
        _pool = _pool or ThreadPoolExecutor(256, "fastloss")
        try:
            return [_pool.submit(function) for _ in range(count)]
        except RuntimeError:  # the interpreter is shutting down and starts no threads: the caller's own does it all
            return []


def _after_fork():
    """The parent's threads are not there in a forked child."""
    global _lock, _pool
    _lock, _pool = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
