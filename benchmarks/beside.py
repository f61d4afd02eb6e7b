"""Do we and torch, which brings an OpenMP of its own, slow each other down in one process?

    python -m benchmarks.beside

Each computes a cost on FASTLOSS_BENCH_THREADS threads: by itself (the other idle for long), and in turns with the other, call by call,
as training loops do. What is printed is the ratio of the median times, in turns / by itself; 1 is none.
"""

import statistics
import time

import numpy as np

from benchmarks import THREADS
from fastloss.measuring.machine import facts, sentence, warn_if_busy

SIZES = (2**14, 2**18, 2**22)
ROUNDS = 9


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def compare(n, calls=30):
    """{"fastloss": ratio, "torch": ratio} for arrays of n."""
    import torch

    import fastloss as fl

    torch.set_num_threads(THREADS)
    y, p = np.random.default_rng(0).standard_normal((2, n), np.float32)
    ty, tp = torch.from_numpy(y), torch.from_numpy(p)
    candidates = {"fastloss": lambda: fl.huber(y, p, n_threads=THREADS), "torch": lambda: torch.nn.functional.huber_loss(tp, ty).item()}
    alone, turns = {name: [] for name in candidates}, {name: [] for name in candidates}
    for _ in range(ROUNDS):  # interleaved, so that what else the machine does meets all alike
        for name, call in candidates.items():
            time.sleep(0.05)  # the other's threads fall asleep
            alone[name] += [seconds(call) for _ in range(calls)]
        time.sleep(0.05)
        for _ in range(calls):
            for name, call in candidates.items():
                turns[name].append(seconds(call))
    return {name: statistics.median(turns[name]) / statistics.median(alone[name]) for name in candidates}, {
        name: statistics.median(alone[name]) for name in candidates
    }


def main():
    machine = facts()
    warn_if_busy(machine)
    for n in SIZES:
        ratios, alone = compare(n)
        print(f"{n:>9,} samples: " + ", ".join(f"{name} {ratios[name]:.2f} ({alone[name] * 1e6:,.0f} us alone)" for name in ratios))
    print(sentence(machine))


if __name__ == "__main__":
    main()
