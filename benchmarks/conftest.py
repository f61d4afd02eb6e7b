"""What every suite shares: verified candidates, a group per comparison, the machine in the saved JSON."""

import pytest

from benchmarks import SMOKE, cases, ours, rivals, verify
from benchmarks.machine import facts


def pytest_benchmark_update_machine_info(config, machine_info):
    machine_info["fastloss"] = facts()


def pytest_report_header(config):
    absent = rivals.missing()
    return f"benchmarks: {'smoke, ' if SMOKE else ''}not installed, so not compared: {', '.join(absent) or 'none'}"


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
    """compare(kind, loss, package, dtype, n): check the candidate against the other side, then time it in the comparison's group."""

    def compare(kind, loss, package, dtype, n):
        benchmark.group = f"{kind} {loss} {dtype} n={n}"
        y, p = _data(loss, n, dtype)
        mine, row = ours.PREPARE[kind](loss, y, p), rivals.table(kind)[loss]
        other = next(iter(row)) if package == "fastloss" else package
        theirs = row[other](y, p)
        verify.check(kind, loss, other, y, p, theirs(), mine())
        run(mine if package == "fastloss" else theirs)

    return compare
