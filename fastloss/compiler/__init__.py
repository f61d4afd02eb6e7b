"""How a formula becomes machine code: subset.py checks it; cython.py emits kernels at build time, numba.py at run time with the help of
llvm.py (values), vecmath*.py (functions), tiles.py and exactsum.py (what kernels/ is to Cython); python.py runs it as it is."""
