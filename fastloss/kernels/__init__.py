"""The machine: vector math, exact sums, tiles, threads (headers), the driver over them (.pxi), and what is made from fastloss/losses."""
