# cython: language_level=3
"""New arrays for outputs: np.empty's, but that the memory of large ones is kept when they are gone, for the next (see memory.h).

They own their memory as all of NumPy's do (NEP 49): tracemalloc sees it, views keep it, resize and pickle work.
"""

cimport numpy as cnp
from cpython.pycapsule cimport PyCapsule_New
from cpython.ref cimport Py_INCREF
from libc.string cimport memset, strcpy

import numpy as np

cnp.import_array()

cdef extern from "memory.h":
    int FL_RECYCLES
    size_t FL_LARGE
    void fl_memory_settings(size_t most, int lazily)
    int fl_memory_kept(size_t* bytes)
    void* fl_memory_malloc(void*, size_t) noexcept
    void* fl_memory_calloc(void*, size_t, size_t) noexcept
    void* fl_memory_realloc(void*, void*, size_t) noexcept
    void fl_memory_free(void*, void*, size_t) noexcept

cdef extern from "numpy/arrayobject.h":
    enum: NPY_MAXDIMS
    object PyArray_Empty(int, cnp.npy_intp*, cnp.dtype, int)    # takes over a reference to the dtype

cdef cnp.PyDataMem_Handler handler      # it and its capsule live as long as the process: arrays refer to them
memset(&handler, 0, sizeof(handler))
strcpy(handler.name, "fastloss")
handler.version = 1
handler.allocator.malloc, handler.allocator.calloc = fl_memory_malloc, fl_memory_calloc
handler.allocator.realloc, handler.allocator.free = fl_memory_realloc, fl_memory_free

HANDLER = PyCapsule_New(&handler, "mem_handler", NULL)
KEEPS = FL_RECYCLES != 0

cdef object asked = None        # what `ask` was given
cdef object settled = None      # what it last said


def ask(function):
    """function() -> (bytes that may be kept, are they to be marked as free to the kernel). It is asked at every large array."""
    global asked
    asked = function


def kept():
    """(How many blocks are kept, their bytes.)"""
    cdef size_t found
    count = fl_memory_kept(&found)
    return count, found


cdef bint recycles() except -1:
    global settled
    settings = asked() if asked is not None else (0, False)
    if settings is not settled:
        fl_memory_settings(settings[0], settings[1])
        settled = settings
    return settings[0] > 0


def empty(shape, dtype, str order="C"):
    """np.empty(shape, dtype, order)."""
    cdef cnp.npy_intp dims[NPY_MAXDIMS]
    cdef cnp.dtype kind = dtype if isinstance(dtype, cnp.dtype) else np.dtype(dtype)
    cdef double size = kind.itemsize
    cdef Py_ssize_t length
    cdef int n, k, fortran = order == "F"
    lengths = shape if isinstance(shape, (tuple, list)) else (shape,)
    n = <int>min(len(lengths), NPY_MAXDIMS + 1)
    try:
        for k in range(n if n <= NPY_MAXDIMS else 0):
            length = lengths[k]
            dims[k] = length
            size *= <double>length
    except (TypeError, OverflowError, IndexError):
        n = NPY_MAXDIMS + 1
    if n > NPY_MAXDIMS:
        return np.empty(shape, dtype, order)    # which has words for it
    if not FL_RECYCLES or size < <double>FL_LARGE or not recycles():
        Py_INCREF(kind)
        return PyArray_Empty(n, dims, kind, fortran)
    before = cnp.PyDataMem_SetHandler(HANDLER)
    try:
        Py_INCREF(kind)
        return PyArray_Empty(n, dims, kind, fortran)
    finally:
        cnp.PyDataMem_SetHandler(before)
