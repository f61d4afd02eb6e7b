"""`fastloss bench --compare`: one run held against another; files that hold no run are refused."""

import json
import re

import pytest

from fastloss.measuring import runs
from tests import test_bench
from tests.test_bench import QUICK

bench, saved, settled = test_bench.bench, test_bench.saved, test_bench.settled  # fixtures


def changed(path, to, change):
    """A copy of a saved run with something changed; returns its path."""
    document = json.loads(path.read_text())
    change(document)
    to.write_text(json.dumps(document))
    return to


def slowed(factor, candidates=("fastloss",), of=slice(None)):
    """A change of a document: candidates take so many times the time, in some of its comparisons."""

    def change(document):
        for comparison in document["comparisons"][of]:
            for name, timing in comparison["timings"].items():
                if any(name.startswith(candidate) for candidate in candidates):
                    timing["minimum"] *= factor
                    timing["median"] *= factor

    return change


def test_a_run_against_itself_is_no_slower(bench, saved):
    path, _, _ = saved
    code, out, err = bench("--compare", path, path)
    assert (code, err) == (0, "")
    assert "0 of 2 cases slower by more than 1.1\n" in out
    assert len(re.findall(r" 1\.000 +1\.000$", out, re.MULTILINE)) == 2


def test_slower_is_what_is_so_in_seconds_and_by_the_roofline(bench, saved, tmp_path):
    path, _, _ = saved
    slow = changed(path, tmp_path / "slow.json", slowed(1.5, of=slice(1)))
    code, out, _ = bench("--compare", path, slow)
    assert code == 1 and "1 of 2 cases slower" in out
    assert re.search(r"^huber .*1\.500 +1\.500  slower$", out, re.MULTILINE)
    assert bench("--compare", path, slow, "--threshold", 1.6)[0] == 0
    assert re.search(r"^huber .*0\.667 +0\.667  faster$", bench("--compare", slow, path)[1], re.MULTILINE)
    busy = changed(path, tmp_path / "busy.json", slowed(1.5, candidates=("",)))
    assert bench("--compare", path, busy)[0] == 0, "everything became slower, the roofline too: that is the machine"
    lucky = changed(path, tmp_path / "lucky.json", slowed(0.5, candidates=("read",)))
    assert bench("--compare", path, lucky)[0] == 0, "only the roofline was faster"


def test_between_machines_the_roofline_decides(bench, saved, tmp_path):
    path, _, _ = saved

    def moved(document):
        document["machine"]["processor"] = "another"
        slowed(0.5, candidates=("read",))(document)

    code, out, _ = bench("--compare", path, changed(path, tmp_path / "moved.json", moved))
    assert code == 1 and "different machines" in out and "2 of 2 cases slower" in out

    def without_roofline(document):
        for comparison in document["comparisons"]:
            del comparison["timings"]["read on one thread"]
        slowed(1.2)(document)

    bare = changed(path, tmp_path / "bare.json", without_roofline)
    code, out, _ = bench("--compare", path, bare)
    assert code == 1 and "2 of 2 cases slower" in out, "on one machine absolute times decide"

    def one_bare(document):
        document["machine"]["processor"] = "another"
        del document["comparisons"][0]["timings"]["read on one thread"]
        slowed(9.0, of=slice(1))(document)

    code, out, _ = bench("--compare", path, changed(path, tmp_path / "one.json", one_bare))
    assert code == 0 and "0 of 1 cases slower" in out
    assert re.search(r"^huber .* 9\.000 +not comparable$", out, re.MULTILINE)
    assert "1 case cannot be compared: different machines, and a run without roofline\n" in out
    moved_bare = changed(bare, tmp_path / "moved_bare.json", lambda document: document["machine"].update(processor="another"))
    for words in ((path, moved_bare), (moved_bare, path)):
        code, out, err = bench("--compare", *words)
        assert (code, out) == (2, "") and "cannot be compared" in " ".join(err.split())


def test_cases_of_one_run_alone_are_named(bench, saved, tmp_path):
    path, _, _ = saved

    def other(document):
        document["comparisons"][0]["n"] = 2**20

    code, out, _ = bench("--compare", path, changed(path, tmp_path / "other.json", other))
    assert code == 0
    assert "only in the old run: huber cost, float32, n=8\n" in out and "only in the new run: huber cost, float32, n=2**20\n" in out
    assert "0 of 1 cases slower" in out


def test_runs_without_a_common_case_are_refused_before_anything_is_measured(bench, saved, monkeypatch):
    monkeypatch.setattr(runs, "measure", lambda *_arguments: pytest.fail("measured"))
    code, out, err = bench("--compare", saved[0], "hinge", "--n", "8")
    assert (code, out) == (2, "")
    assert "the two runs have no case (loss, output, dtype, n, classes) in common" in " ".join(err.split())


def test_compare_with_one_file_measures_its_cases_again(bench, saved, tmp_path):
    path, _, _ = saved
    again = tmp_path / "again.json"
    code, out, _ = bench("--compare", changed(path, tmp_path / "slow.json", slowed(1000.0)), "--json", again)
    assert code == 0 and out.count("faster") == 2
    assert list(runs.read(again).cases) == list(runs.read(path).cases)
    assert runs.read(again).rivals == [], "only ours are compared, so only ours are timed"
    assert bench("--compare", changed(path, tmp_path / "fast.json", slowed(1e-3)), *QUICK)[0] == 1


def damage(document):
    document["comparisons"][0]["timings"]["fastloss"]["minimum"] = -1.0


def first(**fields):
    """A change of a document: fields of its first comparison."""
    return lambda document: document["comparisons"][0].update(fields)


def timing(**fields):
    return lambda document: document["comparisons"][0]["timings"]["fastloss"].update(fields)


BAD_FILES = {
    "not json": (b"\x00\xff", "it is no JSON"),
    "too deep": (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
    "a deep field": (
        b'{"kind": "fastloss bench", "schema": 1, "comparisons": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
        "nested too deeply",
    ),
    "empty": (lambda document: document.update(comparisons=[]), "damaged: ValueError: it holds no comparison"),
    "unknown loss": (first(loss="no_such"), "damaged: ValueError: no loss 'no_such'"),
    "an alias": (first(loss="mse"), "damaged: ValueError: no loss 'mse'"),
    "unknown dtype": (first(dtype="float8"), "damaged: ValueError: no dtype 'float8'"),
    "a list as dtype": (first(dtype=["float32"]), "damaged: ValueError: no dtype ['float32']"),
    "unknown output": (first(output="weights"), "damaged: ValueError: no output 'weights' of huber"),
    "an output that the loss has not": (
        first(loss="root_mean_squared_error", output="gradient"),
        "damaged: ValueError: no output 'gradient' of root_mean_squared_error",
    ),
    "no samples": (first(n=0), "damaged: ValueError: n is 0"),
    "n is no whole number": (first(n=8.0), "damaged: ValueError: n is 8.0"),
    "n without end": (first(n=10**400), "damaged: ValueError: n is 1000000"),
    "calls without end": (timing(calls=float("inf")), "damaged: OverflowError"),
    "a time without end": (timing(median=10**400), "damaged: OverflowError"),
    "seconds without end": (lambda document: document.update(seconds=float("inf")), "damaged: ValueError: comparisons of inf seconds"),
    "seconds of no number": (lambda document: document.update(seconds=float("nan")), "damaged: ValueError: comparisons of nan seconds"),
    "negative seconds": (lambda document: document.update(seconds=-1), "damaged: ValueError: comparisons of -1.0 seconds"),
    "years": (lambda document: document.update(seconds=1e9), "damaged: ValueError: comparisons of 1000000000.0 seconds"),
    "no versions": (lambda document: document["machine"].pop("versions"), "damaged: KeyError: 'versions'"),
    "no load": (lambda document: document["machine"].update(load="heavy"), "damaged: TypeError"),
    "not a run": (b"[1, 2]", "not a saved run"),
    "another schema": (b'{"kind": "fastloss bench", "schema": 99}', "schema 99; this fastloss reads 1"),
    "no comparisons": (b'{"kind": "fastloss bench", "schema": 1}', "damaged: KeyError: 'comparisons'"),
    "negative time": (damage, "damaged: ValueError: a least time of -1.0"),
    "a case twice": (lambda document: document.update(comparisons=document["comparisons"][:1] * 2), "a case is there twice"),
    "no fastloss": (lambda document: document["comparisons"][0]["timings"].pop("fastloss"), "no timing of fastloss"),
    "no machine": (lambda document: document["machine"].pop("processor"), "damaged: KeyError: 'processor'"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_are_refused_clearly(bench, saved, tmp_path, name):
    content, text = BAD_FILES[name]
    bad = tmp_path / "bad.json"
    if callable(content):
        changed(saved[0], bad, content)
    else:
        bad.write_bytes(content)
    for words in ((saved[0], bad), (bad, saved[0]), (bad,)):  # the last would measure
        code, out, err = bench("--compare", *words)
        assert (code, out) == (3, "")
        assert str(bad) in err and text in err
