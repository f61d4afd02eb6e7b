"""Speed for developers, with the candidates, data and clock of `fastloss bench` (fastloss/measuring).

    pytest benchmarks --benchmark-enable      pytest-benchmark suites, ours and rivals in one group
    python -m benchmarks.targets              the project's targets, each measured side by side
    python -m benchmarks.readme --write       the tables and the chart of README.md

    FASTLOSS_BENCH_THREADS=2   threads of every candidate
    FASTLOSS_BENCH_SMOKE=1     tiny arrays, one round: is every candidate right? (for CI)

What this does not show: other machines than the one it ran on, other thread counts, data in other places than memory and cache.
"""

import os

from fastloss.engine import threads as engine
from fastloss.measuring import environment

SMOKE = os.environ.get("FASTLOSS_BENCH_SMOKE", "0") == "1"
THREADS = min(int(os.environ.get("FASTLOSS_BENCH_THREADS", "2")), engine.allowed())

LEFT_OUT = ("torch.compile",) if SMOKE else ()  # rivals; seconds of compilation for each comparison

environment.settle(THREADS)  # before anything is imported that reads it once; measuring/verify.py checks what came of it
