"""The machine: vector math, exact sums, tiles and threads (C headers), the driver over them (.pxi), and what is generated from fastloss/losses."""
