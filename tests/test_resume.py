"""A run that is killed and started again ends with the same bits; states of other work, changed files and damaged bytes are refused."""

import json
import os
import random
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import fastloss as fl
from fastloss.cli import main as command
from fastloss.evaluation import DataError, SourceError, evaluate_files
from tests.test_answers_of_files import told
from tests.test_answers_of_formats import ANSWERS, WRITERS, made

LOSSES = ["log_loss", "brier"]
ASKED = {"weight": "w", "by": ["text", "flag"], **ANSWERS}
SUFFIXES = (".csv", ".parquet", ".jsonl.gz", ".words.arrows", ".feather", ".csv.zst")


def everything(found):
    """All answers; bytes are the same for the same rows, however they came."""
    results = [(r.name, r.cost, r.n, r.n_nan, r.n_inf, r.weight_sum, repr(r.classes)) for r in found.results]
    return results, told(found), found.state.to_bytes(), found.rows, found.files, found.notes, found.columns, found.left_out


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Partitions of several formats, which no chunk's or save's end goes with."""
    folder, table = tmp_path_factory.mktemp("resume"), made(8, 1800)
    for i, suffix in enumerate(SUFFIXES):
        place = folder / f"part={1 + i % 3}"
        place.mkdir(exist_ok=True)
        (place / f"{i}{suffix}").write_bytes(WRITERS[suffix](table[300 * i : 300 * i + 300]))
    return folder


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    for name in ("texts.BLOCK", "arrow.GROUP"):
        monkeypatch.setattr(f"fastloss.evaluation.{name}", 2000)


class StoppedError(Exception):
    pass


def stopped(paths, losses, at, **options):
    """Begin, and stop after some chunks."""
    left = at

    def progress(done, total):
        nonlocal left
        left -= 1
        if left <= 0:
            raise StoppedError

    with pytest.raises(StoppedError):
        evaluate_files(paths, losses, save_every=0, progress=progress, **options)


RUN = """
import json, sys
from fastloss.evaluation import evaluate_files, texts, arrow
texts.BLOCK = arrow.GROUP = 2000
paths, losses, options = json.loads(sys.argv[1])
evaluate_files(paths, losses, progress=lambda done, total: print(done, flush=True), **options)
print("ended", flush=True)
"""


def killed(arguments, after):
    """Begin a run in a process, and kill it when it has told of so many chunks; whether it was killed."""
    words = [sys.executable, "-c", RUN, json.dumps(arguments)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=Path(fl.__file__).parent.parent) as process:
        for i, line in enumerate(process.stdout, 1):
            if line == "ended\n":
                return False
            if i == after:
                time.sleep(random.random() * 0.02)  # anywhere: while it reads, counts or saves
                process.send_signal(signal.SIGKILL)
        process.wait()
        assert process.returncode in (0, -signal.SIGKILL)
    return process.returncode != 0


def test_killed_at_any_moment(folder, tmp_path):
    """Again and again, with SIGKILL: every answer has the bits of the run that nobody killed."""
    state, options = str(tmp_path / "run.fls"), {**ASKED, "by": ["text", "part"], "chunk_rows": 41}
    expected = evaluate_files(folder, LOSSES, **options)
    arguments = [str(folder), LOSSES, {**options, "state": state, "save_every": 0}]
    kills = [killed(arguments, after) for after in (1, 3, 7, 8)]
    assert all(kills)
    found = evaluate_files(folder, LOSSES, state=state, **options)
    assert 0 < found.resumed < found.rows
    assert everything(found) == everything(expected)
    assert [each.n for each in found.segments] and {each.values[1] for each in found.segments} == {1, 2, 3}
    again = evaluate_files(folder, LOSSES, state=state, **options)
    assert again.resumed == again.rows == expected.rows and everything(again) == everything(expected)
    assert [name for name in os.listdir(tmp_path) if name.endswith(".fls")] == ["run.fls"]


def test_the_command_line_goes_on(tmp_path, capsys):
    """The same command, killed and given again, writes the same JSON."""
    data, state = tmp_path / "data", tmp_path / "run.fls"
    data.mkdir()
    for i in range(60):
        made(i, 40).write_parquet(data / f"{i:03}.parquet")
    words = [
        "eval",
        str(data),
        "-l",
        "log_loss",
        "-w",
        "w",
        "--by",
        "text",
        "--spread",
        "--worst",
        "3",
        "--bootstrap",
        "5",
        "--calibration",
    ]
    assert command([*words, "--json"]) == 0
    expected = json.loads(capsys.readouterr().out)
    for size in (1, 2):
        with subprocess.Popen([sys.executable, "-m", "fastloss", *words, "--state", str(state), "--save-every", "0"]) as process:
            before = written(state)
            while process.poll() is None and written(state) == before:
                time.sleep(0.001)
            time.sleep(0.05 * size)
            process.kill()
    assert command([*words, "--state", str(state), "--json", "-q"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found.pop("timing") and expected.pop("timing") and found == expected
    assert command([*words, "--state", str(state)]) == 0
    assert "run.fls: 2400 rows were counted before" in capsys.readouterr().err
    assert command([*words, "--state", str(state), "--nan", "skip"]) == 2
    assert "`nan` was 'propagate', and is 'skip'" in capsys.readouterr().err
    state.write_bytes(state.read_bytes()[:-1])
    assert command([*words, "--state", str(state)]) == 3
    assert command(["eval", "-", "--format", "csv", "-l", "mse", "--state", str(tmp_path / "in.fls")]) == 2
    assert "standard input is read once" in capsys.readouterr().err


def written(path):
    return path.stat().st_mtime_ns if path.exists() else 0


@pytest.mark.parametrize("nan", ["propagate", "skip"])
@pytest.mark.parametrize("at", [1, 2, 5, 11])
def test_losses_of_rows_by_class(tmp_path, nan, at):
    """Labels that are missing, with skip; classes named by columns."""
    rng = np.random.default_rng(4)
    for i in range(3):
        scores = {f"q_{name}": rng.standard_normal(200) for name in "abc"}
        labels = [None if nan == "skip" and rng.random() < 0.1 else "abc"[rng.integers(0, 3)] for _ in range(200)]
        pl.DataFrame({"t": labels, **scores, "w": rng.random(200)}).write_parquet(tmp_path / f"{i}.parquet", row_group_size=70)
    losses = ["cross_entropy", fl.SoftmaxCrossEntropy(class_weight=(1.0, 2.0, 3.5))]
    options = {"target": "t", "prediction": "q_*", "weight": "w", "nan": nan, "per_class": True, "chunk_rows": 55}
    options |= ANSWERS
    paths, state = [tmp_path / f"{i}.parquet" for i in range(3)], tmp_path / "s.fls"
    expected = evaluate_files(paths, losses, **options)
    stopped(paths, losses, at, state=state, **options)
    found = evaluate_files(paths, losses, state=state, **options)
    assert everything(found) == everything(expected) and found.classes == ("a", "b", "c")
    assert 0 <= found.resumed < 600 and (at == 1 or found.resumed)


def test_missing_values_are_skipped_as_before(folder, tmp_path):
    table = made(2, 500)
    holes = pl.Series([None if i % 7 == 0 else 1 for i in range(500)])
    table.with_columns(y=pl.when(holes.is_not_null()).then(pl.col("y")), p=pl.col("p") * holes.shift(1)).write_parquet(
        tmp_path / "a.parquet"
    )
    options = {**ASKED, "nan": "skip", "chunk_rows": 33}
    expected = evaluate_files(tmp_path / "a.parquet", LOSSES, **options)
    stopped(tmp_path / "a.parquet", LOSSES, 6, state=tmp_path / "s", **options)
    assert everything(evaluate_files(tmp_path / "a.parquet", LOSSES, state=tmp_path / "s", **options)) == everything(expected)


def test_costs_from_sums_and_the_positive_label(tmp_path):
    made(1, 400).with_columns(y=pl.col("y").cast(pl.Utf8)).write_csv(tmp_path / "a.csv")
    options = {"positive": "1", "chunk_rows": 30, "bootstrap": 5}
    expected = evaluate_files(tmp_path / "a.csv", ["dice", "tversky"], **options)
    stopped(tmp_path / "a.csv", ["dice", "tversky"], 4, state=tmp_path / "s", **options)
    assert everything(evaluate_files(tmp_path / "a.csv", ["dice", "tversky"], state=tmp_path / "s", **options)) == everything(expected)


@pytest.mark.parametrize("at", [2, 9, 14])
def test_broken_files_leave_nothing(folder, tmp_path, at):
    """keep_going: the file that is being read is apart, in the state as in memory."""
    paths = [*sorted(map(str, folder.glob("*/*")))[:2], str(tmp_path / "bad.parquet"), *sorted(map(str, folder.glob("*/*")))[2:]]
    bad = made(3, 200).with_columns(p=pl.Series([0.5] * 199 + [7.0]), text=pl.lit("of the broken file alone"))
    bad.write_parquet(tmp_path / "bad.parquet", row_group_size=50)
    options = {**ASKED, "keep_going": True, "chunk_rows": 50}
    expected = evaluate_files(paths, LOSSES, **options)
    assert [Path(each["path"]).name for each in expected.left_out] == ["bad.parquet"]
    stopped(paths, LOSSES, at, state=tmp_path / "s", **options)
    found = evaluate_files(paths, LOSSES, state=tmp_path / "s", **options)
    assert everything(found) == everything(expected)
    assert everything(evaluate_files(paths, LOSSES, state=tmp_path / "s", **options)) == everything(expected)


def test_all_files_broken(tmp_path):
    (tmp_path / "a.csv").write_text("y,p\n" + "1,0.5\n" * 1500 + "1,word\n")
    for _ in range(2):
        with pytest.raises(DataError, match="a.csv, row 1500: column 'p' must hold a number, got 'word'"):
            evaluate_files(tmp_path / "a.csv", "mse", keep_going=True, state=tmp_path / "s")


def test_progress_counts_what_was_done(folder, tmp_path):
    paths = sorted(folder.glob("*/*.parquet"))
    stopped(paths, LOSSES, 5, state=tmp_path / "s", chunk_rows=50)
    told_of = []
    found = evaluate_files(paths, LOSSES, state=tmp_path / "s", chunk_rows=50, progress=lambda done, total: told_of.append((done, total)))
    assert told_of == [(done, 300) for done in range(found.resumed + 50, 301, 50)] and found.resumed == 200


def test_segments_of_before_count_for_the_limit(tmp_path):
    (tmp_path / "a.csv").write_text("y,p,g\n" + "".join(f"1,0.5,{i // 10}\n" for i in range(60)))
    stopped(tmp_path / "a.csv", "mse", 4, state=tmp_path / "s", by="g", max_segments=5, chunk_rows=10)
    with pytest.raises(SourceError, match="more than 5 segments"):
        evaluate_files(tmp_path / "a.csv", "mse", state=tmp_path / "s", by="g", max_segments=5, chunk_rows=10)


# what is refused


@pytest.fixture
def begun(tmp_path):
    """(file, state) of a run that was stopped."""
    made(5, 300).write_parquet(tmp_path / "a.parquet")
    made(6, 300).write_csv(tmp_path / "b.csv")
    paths = [tmp_path / "a.parquet", tmp_path / "b.csv"]
    stopped(paths, LOSSES, 4, state=tmp_path / "s.fls", chunk_rows=100)
    return paths, tmp_path / "s.fls"


OTHER = {
    "losses": (["log_loss"], {}), "nan": (LOSSES, {"nan": "skip"}), "weight": (LOSSES, {"weight": "w"}), "by": (LOSSES, {"by": "text"}),
    "spread": (LOSSES, {"spread": True}), "quantiles": (LOSSES, {"quantiles": [0.5]}), "worst": (LOSSES, {"worst": 3}),
    "bootstrap": (LOSSES, {"bootstrap": 3}), "seed": (LOSSES, {"seed": 3}), "confidence": (LOSSES, {"confidence": 0.9}),
    "calibration": (LOSSES, {"calibration": 9}), "prediction": (LOSSES, {"prediction": "w"}), "positive": (LOSSES, {"positive": 1}),
    "keep_going": (LOSSES, {"keep_going": True}), "max_segments": (LOSSES, {"max_segments": 3}),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHER)
def test_other_questions(begun, name):
    (losses, options), (paths, state) = OTHER[name], begun
    before = state.read_bytes()
    with pytest.raises(SourceError, match=f"s.fls was begun as other work: `{name}` was .*, and is .*; delete it"):
        evaluate_files(paths, losses, state=state, **options)
    assert state.read_bytes() == before


def test_files_that_changed(begun):
    paths, state = begun
    first, second = paths
    content, times = first.read_bytes(), first.stat()
    with pytest.raises(SourceError, match="b.csv is no more among the files"):
        evaluate_files(first, LOSSES, state=state)
    with pytest.raises(SourceError, match="in another order"):
        evaluate_files(paths[::-1], LOSSES, state=state)
    with pytest.raises(SourceError, match="its shard was whole, and is 1/2"):
        evaluate_files(paths, LOSSES, state=state, shard=(1, 2))
    made(7, 300).write_parquet(first)
    with pytest.raises(SourceError, match="a.parquet ha.*it was changed"):
        evaluate_files(paths, LOSSES, state=state)
    first.write_bytes(content)
    with pytest.raises(SourceError, match="a.parquet was written again"):
        evaluate_files(paths, LOSSES, state=state)
    first.write_bytes(content[:1000] + bytes([content[1000] ^ 1]) + content[1001:])
    os.utime(first, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises((SourceError, DataError), match="a.parquet has other contents|not a Parquet file"):
        evaluate_files(paths, LOSSES, state=state)
    first.write_bytes(content)
    os.utime(first, ns=(times.st_atime_ns, times.st_mtime_ns))
    with second.open("a") as file:
        file.write("\n")
    with pytest.raises(SourceError, match=r"b.csv had \d+ bytes, and has \d+: it was changed"):
        evaluate_files(paths, LOSSES, state=state)
    first.unlink()
    with pytest.raises(SourceError, match="no such file"):
        evaluate_files(paths, LOSSES, state=state)


def rewritten(state, change):
    """The bytes of a state whose fields were changed, with a checksum that is right."""
    head, _, text = state.read_bytes().partition(b"\n")
    fields = json.loads(text)
    change(fields)
    text = json.dumps(fields).encode()
    return head[:-8] + b"%08x\n" % zlib.crc32(text) + text


def test_another_version(begun):
    paths, state = begun
    state.write_bytes(rewritten(state, lambda fields: fields["question"].update(fastloss="0.0.9")))
    with pytest.raises(SourceError, match=f"saved by fastloss 0.0.9, and this is {fl.__version__}"):
        evaluate_files(paths, LOSSES, state=state)
    state.write_bytes(state.read_bytes().replace(b"evaluation-1", b"evaluation-2"))
    with pytest.raises(DataError, match="s.fls: not a fastloss evaluation state .or of another version"):
        evaluate_files(paths, LOSSES, state=state)


def test_every_truncation_and_every_damaged_byte(begun):
    paths, state = begun
    data = state.read_bytes()
    for cut in range(len(data)):
        state.write_bytes(data[:cut])
        with pytest.raises(DataError, match="s.fls: (not a|this) fastloss evaluation state"):
            fl.merge_states(state)
    for place in range(0, len(data), 7):
        state.write_bytes(data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :])
        with pytest.raises(DataError, match="s.fls: (not a|this) fastloss evaluation state"):
            fl.merge_states(state)
    with pytest.raises(DataError, match="damaged.*delete it to begin anew"):
        evaluate_files(paths, LOSSES, state=state)
    state.write_bytes(data)
    assert evaluate_files(paths, LOSSES, state=state).rows == 600


FORGED = [
    lambda fields: fields.pop("part"), lambda fields: fields.pop("plan"), lambda fields: fields["part"].update(positives=-1),
    lambda fields: fields["part"]["covered"].update(ranges=[[0, [[0, 10**30]]]]), lambda fields: fields.update(shards=[[3, 2]]),
    lambda fields: fields["part"]["covered"].update(ranges=[[7, [[0, 100]]]]),
    lambda fields: fields["part"]["covered"].update(ranges=[[0, [[100, 0]]]]),
    lambda fields: fields["part"]["covered"].update(ranges=[[0, [[0, 100]]]]),
    lambda fields: fields["part"]["covered"].update(ends=[[0, 9]]), lambda fields: fields["part"]["account"].update(state="fastloss"),
    lambda fields: fields["part"]["account"].update(state=fl.State("mse").to_bytes().decode()),
    lambda fields: fields["part"]["account"].update(analysis=None, calibration="x"),
    lambda fields: fields["question"].update(losses="__import__('os')"), lambda fields: fields["question"].update(bootstrap=10**15),
    lambda fields: fields["plan"]["files"][0].update(files=[]), lambda fields: fields["plan"].update(files=3),
    lambda fields: fields["part"]["account"].update(kinds={"p": ["text", "x"]}), lambda fields: fields.update(pieces=[[1]]),
    lambda fields: fields.update(opened=fields["part"]),
]  # fmt: skip


@pytest.mark.parametrize("change", FORGED)
def test_what_no_run_wrote(begun, change):
    paths, state = begun
    state.write_bytes(rewritten(state, change))
    with pytest.raises((DataError, SourceError), match="s.fls"):
        evaluate_files(paths, LOSSES, state=state)


def test_a_state_that_cannot_be_saved(begun, tmp_path):
    paths, _ = begun
    for keep_going in (False, True):
        with pytest.raises(SourceError, match="the state cannot be saved to .*none/s.fls: No such file"):
            evaluate_files(paths, LOSSES, state=tmp_path / "none" / "s.fls", keep_going=keep_going)
    with pytest.raises(SourceError, match="`save_every` must be a number of seconds >= 0"):
        evaluate_files(paths, LOSSES, state=tmp_path / "t.fls", save_every=-1)
    with pytest.raises(SourceError, match="s.fls would be among the files of .*; save it outside of it"):
        evaluate_files(tmp_path, LOSSES, state=tmp_path / "s.fls")
    with pytest.raises(SourceError, match="standard input is read once"):
        evaluate_files("-", LOSSES, format="csv", state=tmp_path / "t.fls")


def test_what_a_killed_save_left_is_taken_away(begun, tmp_path):
    paths, state = begun
    old, young = tmp_path / ".s.fls.1-1.tmp", tmp_path / ".s.fls.1-2.tmp"
    for left in (old, young):
        left.write_bytes(b"half")
    os.utime(old, (0, 0))
    evaluate_files(paths, LOSSES, state=state)
    assert not old.exists() and young.exists()
