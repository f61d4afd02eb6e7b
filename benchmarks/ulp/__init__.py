"""The errors of the kernels' vector math, measured: every function of the formulas' vocabulary, dtype and instruction set.

    python -m benchmarks.ulp                      everything: about an hour; results/ulp.json and README's table are written
    python -m benchmarks.ulp --functions exp log  these alone; the other results stay
    python -m benchmarks.ulp --check              in a minute, by samples: exit code 1 where an error exceeds what is recorded

What is measured is the distance to the true result, in units in the last place of the correctly rounded one (of subnormals: the
fixed unit they have). NaN and infinity must come out exactly where they are true, else the error is infinite; signs of zeros are counted
apart. float32: every bit pattern of a function's argument, or 2**24 pairs of two, against float64 formulas that keep their digits
(tests/test_ulp.py holds those against mpmath). float64: random and directed points (points.py) against MPFR.

The levels of one bit family (all that have fma) are compared bit by bit in the same pass.

What this does not show: for float64 and for pairs the largest error seen is a lower bound of the largest there is.
"""
