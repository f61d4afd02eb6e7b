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

Where waking threads may cost more than the work, below SMALL bytes, the same on one thread is timed besides, and below TINY bytes
alone: "read on one thread", "write on one thread". There a yardstick is a call of a compiled function, which has its overhead too.

The number of threads is that of Numba's pool (NUMBA_NUM_THREADS, numba.set_num_threads).
"""

import functools
import importlib.util

import numpy as np

TINY, SMALL = 2**14, 2**26  # bytes, of all arrays together


def installed():
    """Whether Numba, which compiles the yardsticks, is there."""
    return importlib.util.find_spec("numba") is not None


def read(arrays):
    """{name: function} of bare reads of two or three contiguous arrays of one size and dtype."""
    words, kernels = _words(arrays), _kernels()
    if len(words) not in (2, 3):
        raise ValueError(f"the read yardstick is for two or three arrays, got {len(words)}")
    made = {"read together": ("together", len(words)), "read in turn": ("turn", len(words)), "read on one thread": ("read", len(words))}
    return {name: functools.partial(kernels[made[name]], *words) for name in _sized(made, words)}


def _sized(names, words):
    """Those of the names that are worth timing for arrays of this size."""
    size = sum(word.nbytes for word in words)
    return [name for name in names if (size <= SMALL if name.endswith("on one thread") else size > TINY)]


def read_write(arrays, outputs):
    """{name: function} of bare reads of two arrays and writes of one to three outputs of their size, which are overwritten."""
    words, kernels = _words([*arrays, *outputs]), _kernels()
    if len(arrays) != 2 or len(outputs) not in (1, 2, 3):
        raise ValueError(f"the write yardstick is for two arrays and one to three outputs, got {len(arrays)} and {len(outputs)}")
    made = {
        "write stores": lambda: functools.partial(kernels["stores", len(outputs)], *words),
        "write copies": lambda: _copies(words, len(outputs), kernels["read", 1]),
        "write on one thread": lambda: functools.partial(kernels["store", len(outputs)], *words),
    }
    return {name: made[name]() for name in _sized(made, words)}


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
        if not array.flags.c_contiguous or array.size != arrays[0].size or array.dtype != arrays[0].dtype:
            raise ValueError("a yardstick needs contiguous arrays of one size and dtype")
    word = np.uint64 if arrays[0].nbytes % 8 == 0 else np.dtype(f"u{arrays[0].itemsize}")
    return [array.reshape(-1).view(word) for array in arrays]


def _copies(words, count, one):
    from concurrent.futures import ThreadPoolExecutor

    parts = threads()
    size = words[0].size
    pieces = [[word[size * part // parts : size * (part + 1) // parts] for word in words] for part in range(parts)]
    pool = ThreadPoolExecutor(parts)

    def work(piece):
        for source, target in zip((0, 1, 0), piece[2:], strict=False):
            np.copyto(target, piece[source])  # lets go of Python's lock
        if count == 1:
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

    def store_one(a, b, c):
        for i in prange(a.size):
            c[i] = a[i] | b[i]

    def store_two(a, b, c, d):
        for i in prange(a.size):
            c[i] = a[i]
            d[i] = b[i]

    def store_three(a, b, c, d, e):
        for i in prange(a.size):
            c[i] = a[i]
            d[i] = b[i]
            e[i] = a[i] | b[i]

    stores = {1: store_one, 2: store_two, 3: store_three}
    return {
        ("read", 1): one, ("read", 2): two, ("read", 3): three, ("together", 2): of_two(two), ("turn", 2): of_two(two_in_turn),
        ("together", 3): of_three(three), ("turn", 3): of_three(three_in_turn),
        **{("stores", count): njit(parallel=True)(store) for count, store in stores.items()},
        **{("store", count): njit(store) for count, store in stores.items()},
    }  # fmt: skip
