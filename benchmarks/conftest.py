"""What every suite shares: verified candidates, a group per comparison, the machine in the saved JSON."""

import pytest

from benchmarks import LEFT_OUT, SMOKE
from fastloss.measuring import cases, ours, rivals, verify
from fastloss.measuring.machine import facts


def pytest_benchmark_update_machine_info(config, machine_info):
    machine_info["fastloss"] = facts()


def pytest_report_header(config):
    absent = "; ".join(f"{name}: {why}" for name, why in (rivals.missing() | dict.fromkeys(LEFT_OUT, "slow to compile")).items())
    return f"benchmarks: {'smoke, ' if SMOKE else ''}not compared: {absent or 'none'}"


_last = {}


def _data(*key):
    """The arrays of the last case, which its other candidates use too; only one pair is kept."""
    if key not in _last:
        _last.clear()
        _last[key] = cases.data(*key)
    return _last[key]


@pytest.fixture
def run(benchmark):
    """run(call): time it; once if this is a smoke test."""

    def run(call):
        return benchmark.pedantic(call, rounds=1, iterations=1) if SMOKE else benchmark(call)

    return run


@pytest.fixture
def data():
    return _data


@pytest.fixture
def compare(benchmark, run):
    """compare(output, loss, rival, dtype, n): check the candidate against the other side, then time it in the comparison's group."""

    def compare(output, loss, rival, dtype, n):
        benchmark.group = f"{output} {loss} {dtype} n={n}"
        y, p = _data(loss, n, dtype)
        mine, row = ours.prepare(output, loss, y, p), rivals.row(output, loss)
        other = next(iter(row)) if rival == "fastloss" else rival
        theirs = row[other](y, p)
        verify.check(output, loss, other, y, p, theirs(), mine())
        run(mine if rival == "fastloss" else theirs)

    return compare
