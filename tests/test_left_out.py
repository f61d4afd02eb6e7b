"""Under keep_going a broken file leaves nothing behind: every answer has the bits of the run without it."""

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from pyarrow import ipc

import fastloss as fl
from fastloss.cli import main as command
from fastloss.evaluation import DataError, SourceError, evaluate_files
from tests.test_answers_of_files import told
from tests.test_answers_of_formats import ANSWERS, WRITERS, made, sunk, zstd_of
from tests.test_formats import arrow_of

LOSSES = ["log_loss", "brier"]
ASKED = {"weight": "w", "by": ["text", "flag"], "chunk_rows": 100, **ANSWERS}
BAD = made(3, 700).with_columns(text=pl.lit("of the broken file alone"), p=1 - pl.col("y") * 1.0, w=pl.lit(1e6))  # would be the worst

LONG, WORD = pl.concat([BAD, BAD]), b"1,word,1,,,,,,,,\n"  # a word in place of p, after the rows that columns are guessed by


def bad_value(p):
    """A table whose last row cannot be."""
    return pl.concat([BAD, BAD[:1].with_columns(p=pl.lit(p))])


def cut(content, part=0.9):
    return content[: int(len(content) * part)]


BROKEN = {  # all of them after some good rows
    "b.parquet": sunk(bad_value(1.5).write_parquet, row_group_size=100),
    "b.csv": sunk(LONG.write_csv) + WORD,
    "b.csv.gz": gzip.compress(sunk(LONG.write_csv) + WORD),
    "b.tsv.zst": zstd_of(sunk(bad_value(-0.5).write_csv, separator="\t")),
    "b.jsonl": cut(sunk(BAD.write_ndjson)),
    "b.arrows": arrow_of(bad_value(None).to_arrow(), ipc.new_stream),
    "b.arrow": arrow_of(bad_value(7.0).to_arrow(), ipc.new_file),
    "b.safetensors": WRITERS[".safetensors"](bad_value(2.0)),
}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    for name in ("texts.BLOCK", "arrow.GROUP"):
        monkeypatch.setattr(f"fastloss.evaluation.{name}", 2000)


@pytest.fixture
def good(tmp_path):
    table = made(8, 600)
    for i, name in enumerate(("a.parquet", "m.jsonl.gz", "z.arrows")):
        suffix = name[1:]
        (tmp_path / name).write_bytes(WRITERS[suffix](table[200 * i : 200 * i + 200]))
    return [tmp_path / name for name in ("a.parquet", "m.jsonl.gz", "z.arrows")]


def rest(found):
    """All answers but the bootstrap, and the State."""
    segments, spread, worst, _, calibration = told(found)
    return segments, spread, worst, calibration, found.state.to_bytes(), found.rows, found.files


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("place", [0, 1, 3])
def test_every_answer_is_that_of_the_other_files(good, tmp_path, name, place):
    (tmp_path / name).write_bytes(BROKEN[name])
    options = ASKED | ({"by": "number"} if name.endswith("safetensors") else {})
    paths = [*good[:place], tmp_path / name, *good[place:]]
    with pytest.raises(DataError) as caught:
        evaluate_files(paths, LOSSES, **options)
    assert caught.value.path == str(tmp_path / name)
    found = evaluate_files(paths, LOSSES, keep_going=True, **options)
    assert [(item["path"], item["error"]) for item in found.left_out] == [(str(tmp_path / name), str(caught.value))]
    expected = evaluate_files(good, LOSSES, **options)
    assert rest(found) == rest(expected)
    # the draws of a file are those of its place in the plan, in which the broken one has its own
    for loss in LOSSES:
        mine, others = found.bootstrap[loss].replicates.tolist(), expected.bootstrap[loss].replicates.tolist()
        assert (mine == others) == (place == 3)
    if place < 3:
        state = fl.State(LOSSES)
        analysis = fl.Analysis(state, bootstrap=ANSWERS["bootstrap"])
        for i, file in enumerate(good):
            table = made(8, 600)[200 * i : 200 * i + 200]
            y, p, w = (table[column].to_numpy() for column in "ypw")
            state.update(y, p, w)
            analysis.update(y, p, w, file=paths.index(file))
        for loss in LOSSES:
            assert found.bootstrap[loss].replicates.tolist() == analysis.bootstrap[loss].replicates.tolist()


def test_without_broken_files_keep_going_changes_no_bit(good):
    one, other = (evaluate_files(good, LOSSES, keep_going=going, **ASKED) for going in (True, False))
    assert told(one) == told(other)
    assert rest(one) == rest(other)
    assert one.left_out == ()


def test_files_that_are_left_out_by_the_plan_have_no_place_in_it(good, tmp_path):
    """A missing file, one that is broken from its beginning, one without the column of segments: as if they had not been named."""
    (tmp_path / "b.parquet").write_bytes(cut(BROKEN["b.parquet"]))
    made(4, 50).drop("flag").write_csv(tmp_path / "c.csv")
    paths = [tmp_path / "none.csv", good[0], tmp_path / "b.parquet", good[1], tmp_path / "c.csv", good[2]]
    found = evaluate_files(paths, LOSSES, keep_going=True, **ASKED)
    expected = evaluate_files(good, LOSSES, **ASKED)
    assert sorted(Path(item["path"]).name for item in found.left_out) == ["b.parquet", "c.csv", "none.csv"]
    assert told(found) == told(expected)
    assert rest(found) == rest(expected)


def rows_of(path, classes, seed, bad=False):
    """Rows of scores with a column g, the last label of which is none of them, if ``bad``."""
    rng = np.random.default_rng(seed)
    scores = {f"q_{i}": rng.standard_normal(300) for i in range(classes)}
    labels = rng.integers(0, 2, 300)
    labels[-1] = 7 if bad else 0
    pl.DataFrame({"t": labels, **scores, "g": rng.integers(0, 3, 300) + 10 * bad}).write_parquet(path)


def test_losses_of_rows(tmp_path):
    rows_of(tmp_path / "a.parquet", 2, 1)
    rows_of(tmp_path / "b.parquet", 2, 2, bad=True)
    rows_of(tmp_path / "c.parquet", 2, 3)
    options = {"target": "t", "prediction": "q_*", "by": "g", "per_class": True, "chunk_rows": 70, **ANSWERS}
    expected = evaluate_files([tmp_path / "a.parquet", tmp_path / "c.parquet"], "cross_entropy", **options)
    found = evaluate_files(tmp_path, "cross_entropy", keep_going=True, **options)
    assert [Path(item["path"]).name for item in found.left_out] == ["b.parquet"]
    assert rest(found) == rest(expected)
    assert [s.values for s in found.segments] == [(0,), (1,), (2,)]


def test_a_file_that_the_plan_leaves_out_decides_no_classes(tmp_path):
    """The first file has three classes, and no column g."""
    rows_of(tmp_path / "a.parquet", 3, 1)
    pl.read_parquet(tmp_path / "a.parquet").drop("g").write_parquet(tmp_path / "a.parquet")
    rows_of(tmp_path / "b.parquet", 2, 2)
    options = {"target": "t", "prediction": "q_*", "by": "g"}
    with pytest.raises(SourceError, match="a.parquet has no column 'g'"):
        evaluate_files(tmp_path, "cross_entropy", **options)
    found = evaluate_files(tmp_path, "cross_entropy", keep_going=True, **options)
    expected = evaluate_files(tmp_path / "b.parquet", "cross_entropy", **options)
    assert [Path(item["path"]).name for item in found.left_out] == ["a.parquet"]
    assert (found.costs, found.notes, found.columns, found.classes) == (expected.costs, expected.notes, expected.columns, expected.classes)


def test_kinds_and_numbers_of_segments_are_those_of_whole_files(tmp_path):
    lines = [f'{{"y": 1, "p": 0.5, "g": "word{i}"}}\n' for i in range(50)]
    (tmp_path / "a.jsonl").write_text("".join(lines) + "{")
    (tmp_path / "b.csv").write_text("y,p,g\n" + "1,0.5,1\n0,0.5,2\n1,0.5,3\n")
    (tmp_path / "c.csv").write_text("y,p,g\n" + "1,0.5,word\n")
    found = evaluate_files(tmp_path, "mse", by="g", max_segments=50, keep_going=True)
    assert [(s.values, s.n) for s in found.segments] == [((1,), 1), ((2,), 1), ((3,), 1)]
    assert [Path(item["path"]).name for item in found.left_out] == ["a.jsonl", "c.csv"]
    assert "holds numbers in" in found.left_out[1]["error"] and "b.csv, but text in" in found.left_out[1]["error"]


def test_too_many_segments_are_no_fault_of_a_file(tmp_path, capsys):
    for name, values in (("a", range(3)), ("b", range(2, 5))):
        (tmp_path / f"{name}.csv").write_text("y,p,g\n" + "".join(f"1,0.5,{value}\n" for value in values))
    for most, text in ((2, "column 'g' has more than 2 values"), (4, "more than 4 segments")):
        with pytest.raises(SourceError, match=text):
            evaluate_files(tmp_path, "mse", by="g", max_segments=most, keep_going=True)
    assert len(evaluate_files(tmp_path, "mse", by="g", max_segments=5, keep_going=True).segments) == 5
    assert command(["eval", str(tmp_path), "-l", "mse", "--by", "g", "--max-segments", "4", "--keep-going"]) == 2
    assert "--max-segments" in capsys.readouterr().err


def test_a_label_that_no_target_equals_is_looked_for_in_whole_files(tmp_path):
    (tmp_path / "a.csv").write_text("y,p\n" + "yes,0.5\nno,0.25\n")
    (tmp_path / "b.csv").write_text("y,p\n" + "maybe,0.5\n" * 2000 + "no,word\n")
    with pytest.raises(SourceError, match="equals the positive label 'yess'; labels found: 'no', 'yes'; did you mean 'yes'"):
        evaluate_files(tmp_path, "brier", positive="yess", keep_going=True)


def test_command_line(good, tmp_path, capsys):
    (tmp_path / "b.jsonl").write_bytes(BROKEN["b.jsonl"])
    asked = ["-l", "log_loss", "--by", "text", "--spread", "--worst", "3", "--bootstrap", "4", "--calibration", "--keep-going", "-w", "w"]
    assert command(["eval", str(tmp_path), *asked]) == 4
    captured = capsys.readouterr()
    assert "broken file alone" not in captured.out and "b.jsonl" not in captured.out
    assert f"left out: {tmp_path / 'b.jsonl'}" in captured.err
    assert command(["inspect", str(tmp_path)]) == 0, "headers and first rows are sound"
