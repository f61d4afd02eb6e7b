"""The least time in which the inputs could be read, and outputs written: what a loss at the speed of memory is compared with.

A yardstick does no arithmetic worth the name. The reads OR all words of the arrays together: integers are associative, so the
compiler vectorises this with several accumulators without being allowed anything, and every byte does reach a register. The arrays
are cut into one contiguous piece per thread.

No access pattern is the fastest on every machine or at every moment, so there are two of each kind, and the denominator is the
faster of them (``fastest``), timed in the same rounds as what it is compared with:

    "read together"   all arrays in one loop, as a loss must read them
    "read in turn"    one array after the other: a single stream for the prefetchers
    "write stores"    read the inputs in one loop and store their bits: each stored line is first read into the cache
    "write copies"    memcpy an input to each output, which may store past the cache, and read what is not copied

The number of threads is that of Numba's pool (NUMBA_NUM_THREADS, numba.set_num_threads).
"""

import functools

import numpy as np


def read(arrays):
    """{name: function} of bare reads of two or three contiguous arrays of one size and dtype."""
    words, kernels = _words(arrays), _kernels()
    if len(words) not in (2, 3):
        raise ValueError(f"the read yardstick is for two or three arrays, got {len(words)}")
    together, turn = kernels["together", len(words)], kernels["turn", len(words)]
    return {"read together": functools.partial(together, *words), "read in turn": functools.partial(turn, *words)}


def read_write(arrays, outputs):
    """{name: function} of bare reads of two arrays and writes of one or two outputs of their size, which are overwritten."""
    words, kernels = _words([*arrays, *outputs]), _kernels()
    if len(arrays) != 2 or len(outputs) not in (1, 2):
        raise ValueError(f"the write yardstick is for two arrays and one or two outputs, got {len(arrays)} and {len(outputs)}")
    stores = kernels["stores", len(outputs)]
    return {"write stores": functools.partial(stores, *words), "write copies": _copies(words, len(outputs), kernels["one"])}


def fastest(timings, kind):
    """(name, Timing) of the faster yardstick of a kind, "read" or "write", among the results of side_by_side."""
    found = [(name, timing) for name, timing in timings.items() if name.startswith(kind + " ")]
    if not found:
        raise LookupError(f"no {kind!r} yardstick was timed among {', '.join(timings)}")
    return min(found, key=lambda item: item[1].minimum)


def threads():
    """Threads that the yardsticks run on."""
    import numba

    return numba.get_num_threads()


def _words(arrays):
    """The arrays as machine words, uncopied."""
    for array in arrays:
        if not array.flags.c_contiguous or array.size != arrays[0].size or array.dtype != arrays[0].dtype or array.nbytes % 8:
            raise ValueError("a yardstick needs contiguous arrays of one size and dtype, a multiple of 8 bytes")
    return [array.reshape(-1).view(np.uint64) for array in arrays]


def _copies(words, count, one):
    from concurrent.futures import ThreadPoolExecutor

    parts = threads()
    size = words[0].size
    pieces = [[word[size * part // parts : size * (part + 1) // parts] for word in words] for part in range(parts)]
    pool = ThreadPoolExecutor(parts)

    def work(piece):
        np.copyto(piece[2], piece[0])  # lets go of Python's lock
        if count == 2:
            np.copyto(piece[3], piece[1])
        else:
            one(piece[1])

    return lambda: list(pool.map(work, pieces))


@functools.cache
def _kernels():
    """{(what, number of arrays): function}, each compiled on its first call."""
    import numba
    from numba import njit, prange

    @njit(nogil=True)
    def one(a):
        bits = np.uint64(0)
        for i in range(a.size):
            bits |= a[i]
        return bits

    @njit(nogil=True)
    def two(a, b):
        bits = np.uint64(0)
        for i in range(a.size):
            bits |= a[i] | b[i]
        return bits

    @njit(nogil=True)
    def three(a, b, c):
        bits = np.uint64(0)
        for i in range(a.size):
            bits |= a[i] | b[i] | c[i]
        return bits

    @njit(nogil=True)
    def two_in_turn(a, b):
        return one(a) | one(b)

    @njit(nogil=True)
    def three_in_turn(a, b, c):
        return one(a) | one(b) | one(c)

    def of_two(kernel):
        @njit(parallel=True)
        def each(a, b):
            parts = numba.get_num_threads()
            out = np.zeros(8 * parts, np.uint64)  # results 64 bytes apart, so that threads share no cache line
            for part in prange(parts):
                low, high = a.size * part // parts, a.size * (part + 1) // parts
                out[8 * part] = kernel(a[low:high], b[low:high])
            return one(out)

        return each

    def of_three(kernel):
        @njit(parallel=True)
        def each(a, b, c):
            parts = numba.get_num_threads()
            out = np.zeros(8 * parts, np.uint64)
            for part in prange(parts):
                low, high = a.size * part // parts, a.size * (part + 1) // parts
                out[8 * part] = kernel(a[low:high], b[low:high], c[low:high])
            return one(out)

        return each

    @njit(parallel=True)
    def store_one(a, b, c):
        for i in prange(a.size):
            c[i] = a[i] | b[i]

    @njit(parallel=True)
    def store_two(a, b, c, d):
        for i in prange(a.size):
            c[i] = a[i]
            d[i] = b[i]

    return {
        "one": one, ("together", 2): of_two(two), ("turn", 2): of_two(two_in_turn), ("together", 3): of_three(three),
        ("turn", 3): of_three(three_in_turn), ("stores", 1): store_one, ("stores", 2): store_two,
    }  # fmt: skip
