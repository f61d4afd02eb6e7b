"""How a formula becomes machine code: subset.py checks it, cython.py emits kernels at build time, python.py and numba.py run it."""
