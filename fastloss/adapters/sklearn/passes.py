"""One pass over the rows of X: blocks that stay in cache go through X @ w, the loss, and gradient @ X while they are there.

Blocks are taken by Python threads, and BLAS keeps to one thread meanwhile (if threadpoolctl is there to say so; else it has its own, and
blocks are taken by one). What blocks add up to is kept by slabs, of a fixed number of blocks, so that it does not depend on who took what.
"""

import functools
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import numpy as np

import fastloss as fl

BLOCK = 1 << 20  # bytes of X in a block, which is then in cache; smaller ones cost more calls than they save
PARTS = 32  # blocks, at least, so that threads have something to share
LEAST, MOST = 64, 1 << 15  # rows
SLAB = 4  # blocks
SMALL = 16 << 20  # bytes of X below which it is one slab, for BLAS as it is: threads of ours would cost more than they save
FEW = 4096  # rows of its blocks: what BLAS adds up in float32


@functools.cache
def _controller():
    """threadpoolctl's controller of BLAS libraries; None without it. Looking for them takes milliseconds, once."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    return ThreadpoolController().select(user_api="blas")


@functools.cache
def _pool(process):
    """Threads, of this process: those of a parent are not there after a fork."""
    return ThreadPoolExecutor(64, "fastloss-objective")


class Blocks:
    """The slabs of n rows of d features, and who takes them.

    n_threads  None: as many as fastloss takes
    """

    def __init__(self, n, d, itemsize, n_threads):
        size = n * d * itemsize
        self.small, self.n, self.n_threads = size < SMALL, n, n_threads
        self.rows = min(n, FEW) if self.small else min(MOST, max(LEAST, min(BLOCK, size // PARTS) // (d * itemsize)))
        self.slab = n if self.small else self.rows * SLAB
        self.count = -(-n // self.slab)

    def run(self, work):
        """work(slab's number, [(start, stop), ...]) for all slabs."""
        controller = None if self.small else _controller()
        threads = 1 if controller is None else min(self.n_threads or fl.get_num_threads(), self.count)
        lock, left = threading.Lock(), iter(range(self.count))

        @np.errstate(all="ignore")  # NaN and infinity propagate, as everywhere
        def take():
            while True:
                with lock:
                    slab = next(left, None)
                if slab is None:
                    return
                first, last = slab * self.slab, min(self.n, (slab + 1) * self.slab)
                work(slab, [(start, min(start + self.rows, last)) for start in range(first, last, self.rows)])

        with nullcontext() if controller is None else controller.limit(limits=1):
            helpers = [_pool(os.getpid()).submit(take) for _ in range(threads - 1)]
            try:
                take()
            finally:
                with lock:  # also where an error, or Ctrl-C, came up here: the helpers write to our arrays
                    left = iter(())
                for helper in helpers:
                    if not helper.cancel():
                        helper.result()
