"""Speed beside the field's libraries: verified first, then timed, from the same registry as everything else.

    pytest benchmarks --benchmark-enable      pytest-benchmark suites, ours and rivals in one group
    python -m benchmarks.targets              the project's targets, each measured side by side
    python -m benchmarks.readme --write       the tables of README.md

    FASTLOSS_BENCH_THREADS=2   threads of every candidate
    FASTLOSS_BENCH_SMOKE=1     tiny arrays, one round: is every candidate right? (for CI)

What this does not show: other machines than the one it ran on, other thread counts, data in other places than memory and cache.
"""

import os

SMOKE = os.environ.get("FASTLOSS_BENCH_SMOKE", "0") == "1"
THREADS = int(os.environ.get("FASTLOSS_BENCH_THREADS", "2"))

# Before anything is imported that reads these once; benchmarks/verify.py checks what came of it.
for _name in ("FASTLOSS_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = str(THREADS)
