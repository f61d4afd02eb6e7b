"""One module per rival library, with_LIBRARY.py (what that is made of stands beside it), each with

    NAME                 as it stands in tables
    COST                 {loss: prepare}, where prepare(y, p) -> function of no arguments -> the cost, a float
    COST_GRADIENT        {loss: prepare}, -> (cost, gradient): into a buffer made beforehand where the library can
    GRADIENT_PER_SAMPLE  True where that gradient is left undivided by n, as the library's own users have it
    version()            of the library
    threads()            that it runs on, after having been told benchmarks.THREADS

What a user would do once (tensors over the arrays, buffers, objects) is done by prepare, outside the timing. Written as well as
a good user of that library writes it; a loss that the library has no good way for is absent. Parameters are those of cases.PARAMETERS.
"""
