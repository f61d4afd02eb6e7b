"""Shards and pieces of a plan: together the bits of one run; what is missing, twice, incomplete or of other work is refused by name."""

import json
import os
import pickle
import shutil
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from itertools import chain
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import fastloss as fl
from fastloss.cli import main as command
from fastloss.evaluation import DataError, SourceError, evaluate_files, pieces
from fastloss.evaluation.part import Piece
from fastloss.evaluation.saved import load
from fastloss.evaluation.shards import cut, shares
from tests.html_pages import checked
from tests.test_answers_of_formats import ANSWERS, WRITERS, made
from tests.test_resume import ASKED, LOSSES, everything, folder, rewritten, small_blocks, stopped  # noqa: F401


def entries(*rows, size=1000):
    return [{"rows": n, "files": [{"bytes": size}]} for n in rows]


def rows_of(piece, files):
    rows = files[piece.file]["rows"]
    return [(piece.file, i) for i in range(piece.first, rows if piece.stop is None else piece.stop)]


@pytest.mark.parametrize("rows", [(100,), (3, 0, 90, 7), (1, 1, 1), (0,), (5, 2000, 1), (10**12, 1), (0, 0, 4, 0)])
@pytest.mark.parametrize("n", [1, 2, 3, 7, 40])
def test_shards_are_alike_and_hold_every_row_once(rows, n):
    files = entries(*rows)
    found = shares(files, n)
    assert len(found) == n and found == shares(files, n)
    sizes = [sum(rows[piece.file] - piece.first if piece.rows is None else piece.rows for piece in shard) for shard in found]
    assert sum(sizes) == sum(rows) and max(sizes) - min(sizes) <= 1
    assert {piece.file for piece in chain(*found)} == set(range(len(rows))), "files without rows are read, too"
    if sum(rows) < 10**6:
        assert sorted(chain(*(rows_of(piece, files) for piece in chain(*found)))) == [(i, j) for i, m in enumerate(rows) for j in range(m)]


def test_files_that_are_not_cut():
    files = [{"rows": None, "files": [{"bytes": size}]} for size in (10, 10, 50, 10, 20)]
    assert [[piece.file for piece in shard] for shard in shares(files, 2)] == [[0, 1, 2], [3, 4]]
    assert all(piece.rows is None for piece in chain(*shares(entries(100, 100, 1), 4, whole=True)))
    mixed = [*entries(1000, size=90), {"rows": None, "files": [{"bytes": 10}]}]
    assert shares(mixed, 2) == [[Piece(0, 0, 555)], [Piece(0, 555, 445), Piece(1)]]


def test_pieces():
    files = [*entries(10, 0, 7), {"rows": None, "files": [{"bytes": 10}]}]
    assert cut(files, 4) == [Piece(0, 0, 3), Piece(0, 3, 3), Piece(0, 6, 4), Piece(1), Piece(2, 0, 3), Piece(2, 3, 4), Piece(3)]
    assert cut(files, 4, whole=True) == [Piece(i) for i in range(4)]


def sharded(paths, losses, n, place, **options):
    states = [place / f"{i}of{n}.fls" for i in range(1, n + 1)]
    for i, state in enumerate(states, 1):
        assert evaluate_files(paths, losses, state=state, shard=(i, n), **options).shard == (i, n)
    return states


@pytest.mark.parametrize("n", [1, 2, 5, 13])
def test_merged_shards_have_the_bits_of_one_run(folder, tmp_path, n):  # noqa: F811
    """Partitions, weights, every answer, places of the worst and draws of the bootstrap included; in any order, and by way of others."""
    expected = evaluate_files(folder, LOSSES, **ASKED)
    states = sharded(folder, LOSSES, n, tmp_path, **ASKED)
    assert everything(fl.merge_states(states[::-1])) == everything(expected)
    assert everything(fl.merge_states(str(tmp_path / "*of*.fls"))) == everything(expected)
    for i, state in enumerate(states):
        merged = [tmp_path / "some.fls"] if i else []
        fl.merge_states([state, *merged], partial=tmp_path / "some.fls")
    assert everything(fl.merge_states(tmp_path / "some.fls")) == everything(expected)


def test_shards_of_many_formats(tmp_path):
    table = made(9, 15 * 80)
    for i, (suffix, write) in enumerate(WRITERS.items()):
        (tmp_path / f"{i:02}{suffix}").write_bytes(write(table[80 * i : 80 * i + 80]))
    options = {"weight": "w", "by": "number", "chunk_rows": 30, **ANSWERS}
    expected = evaluate_files(tmp_path, LOSSES, **options)
    state = tmp_path / ".states"
    state.mkdir()
    assert everything(fl.merge_states(sharded(tmp_path, LOSSES, 4, state, **options))) == everything(expected)


def test_shards_are_resumed(tmp_path):
    made(3, 900).write_parquet(tmp_path / "a.parquet", row_group_size=128)
    made(4, 500).write_parquet(tmp_path / "b.parquet")
    paths, options = [tmp_path / "a.parquet", tmp_path / "b.parquet"], {**ASKED, "chunk_rows": 50}
    expected = evaluate_files(paths, LOSSES, **options)
    states = [tmp_path / "1", tmp_path / "2"]
    for i, state in enumerate(states, 1):
        stopped(paths, LOSSES, 6, state=state, shard=(i, 2), **options)
    with pytest.raises(SourceError, match="1 is not complete: rows 228 to 699 of .*a.parquet is not counted yet; run its command again"):
        fl.merge_states(states)
    told_of = []
    for i, state in enumerate(states, 1):
        found = evaluate_files(paths, LOSSES, state=state, shard=(i, 2), progress=lambda *of: told_of.append(of), **options)
        assert found.resumed > 0 and found.rows == 700 and told_of[-1] == (700, 700)
    assert everything(fl.merge_states(states)) == everything(expected)


def test_rows_that_are_missing_or_twice(tmp_path):
    made(3, 900).write_parquet(tmp_path / "a.parquet")
    made(4, 100).write_csv(tmp_path / "b.csv")
    paths = [tmp_path / "a.parquet", tmp_path / "b.csv"]
    one, two, three = sharded(paths, LOSSES, 3, tmp_path)
    with pytest.raises(SourceError, match=r"shard 2/3 is missing: rows \d+ to \d+ of \S*a.parquet is counted in none; --partial"):
        fl.merge_states([three, one])
    with pytest.raises(SourceError, match=r"shard 3/3 is missing: .*b.csv"):
        fl.merge_states([one, two])
    with pytest.raises(SourceError, match="1of3.fls is given twice"):
        fl.merge_states([one, two, one])
    copy = tmp_path / "copy.fls"
    shutil.copy(two, copy)
    with pytest.raises(SourceError, match=r"rows \d+ to \d+ of \S*a.parquet is counted twice: in \S*2of3.fls and in \S*copy.fls"):
        fl.merge_states([one, two, three, copy])
    shutil.copy(three, copy)
    with pytest.raises(SourceError, match="counted twice: in .*3of3.fls and in .*copy.fls"):
        fl.merge_states([one, two, three, copy])
    fl.merge_states([one, two], partial=tmp_path / "12")
    with pytest.raises(SourceError, match="counted twice: in .*12 and in .*2of3.fls"):
        fl.merge_states([tmp_path / "12", two, three])
    with pytest.raises(SourceError, match=r"shard 3/3 is missing"):
        fl.merge_states(tmp_path / "12")
    other = tmp_path / "other.fls"
    evaluate_files(paths, LOSSES, state=other, shard=(1, 2))
    with pytest.raises(SourceError, match="counted twice"):
        fl.merge_states([other, two, three])
    with pytest.raises(SourceError, match="there are no states to merge"):
        fl.merge_states([])
    with pytest.raises(SourceError, match="none.fls cannot be read: No such file"):
        fl.merge_states([one, tmp_path / "none.fls"])


def test_other_work(tmp_path):
    made(3, 900).write_parquet(tmp_path / "a.parquet")
    paths = [tmp_path / "a.parquet"]
    one, two = sharded(paths, LOSSES, 2, tmp_path)
    evaluate_files(paths, ["log_loss"], state=tmp_path / "l", shard=(2, 2))
    with pytest.raises(
        SourceError, match=r"l is of other work than \S*1of2.fls: `losses` was \['log_loss', 'brier'\], and is \['log_loss'\]"
    ):
        fl.merge_states([one, tmp_path / "l"])
    two.write_bytes(rewritten(two, lambda fields: fields["question"].update(bits="strange")))
    with pytest.raises(SourceError, match="the arithmetic of the kernels .* was 'fma', and is 'strange'"):
        fl.merge_states([one, two])
    made(5, 900).write_parquet(tmp_path / "a.parquet")
    two.unlink()
    evaluate_files(paths, LOSSES, state=two, shard=(2, 2))
    with pytest.raises(SourceError, match="2of2.fls is of other work than .*1of2.fls: .*a.parquet ha.*it was changed"):
        fl.merge_states([one, two])
    two.write_bytes(b"")
    with pytest.raises(DataError, match="2of2.fls: not a fastloss evaluation state"):
        fl.merge_states([one, two])


def test_copies_with_other_times_go_together_and_it_is_said(tmp_path):
    made(3, 900).write_parquet(tmp_path / "a.parquet")
    evaluate_files(tmp_path / "a.parquet", LOSSES, state=tmp_path / "1", shard=(1, 2))
    os.utime(tmp_path / "a.parquet", (0, 0))
    evaluate_files(tmp_path / "a.parquet", LOSSES, state=tmp_path / "2", shard=(2, 2))
    found = fl.merge_states([tmp_path / "1", tmp_path / "2"])
    assert found.rows == 900 and "a.parquet was written at different times where it was read" in found.notes[0]


def test_broken_files_and_shards(tmp_path):
    for i in range(6):
        made(i, 100).write_parquet(tmp_path / f"{i}.parquet")
    made(9, 100).with_columns(p=pl.lit(7.0)).write_parquet(tmp_path / "3.parquet")
    (tmp_path / "4.parquet").write_bytes(b"PAR1")
    expected = evaluate_files(tmp_path, LOSSES, keep_going=True, **ASKED)
    state = tmp_path / ".s"
    state.mkdir()
    states = sharded(tmp_path, LOSSES, 3, state, keep_going=True, **ASKED)
    found = fl.merge_states(states)
    assert everything(found) == everything(expected) and len(found.left_out) == 2


def test_columns_of_segments_of_other_kinds(tmp_path):
    (tmp_path / "a.csv").write_text("y,p,g\n" + "1,0.5,1\n" * 9)
    (tmp_path / "b.csv").write_text("y,p,g\n" + "1,0.5,word\n" * 9)
    states = sharded([tmp_path / "a.csv", tmp_path / "b.csv"], "mse", 2, tmp_path, by="g")
    with pytest.raises(SourceError, match="column 'g' holds numbers in .*a.csv, but text in .*b.csv"):
        fl.merge_states(states)


def test_more_shards_than_rows_and_labels_in_one_of_them(tmp_path):
    (tmp_path / "a.csv").write_text("y,p\nyes,0.5\n")
    (tmp_path / "b.csv").write_text("y,p\nno,0.5\n")
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    expected = evaluate_files(paths, "brier", positive="yes")
    assert everything(fl.merge_states(sharded(paths, "brier", 5, tmp_path, positive="yes"))) == everything(expected)
    empty = evaluate_files(paths, "brier", positive="yes", state=tmp_path / "e", shard=(1, 5))
    assert empty.rows == 0 and empty.results == ()
    with pytest.raises(SourceError, match="no target in column 'y' equals the positive label 'yess'"):
        fl.merge_states(sharded(paths, "brier", 3, tmp_path, positive="yess"))
    for shard in ((0, 2), (3, 2), (1.0, 2), 3, "1/2"):
        with pytest.raises(SourceError, match="`shard` must be"):
            evaluate_files(paths, "brier", state=tmp_path / "x", shard=shard)
    with pytest.raises(SourceError, match="a shard is saved to be merged"):
        evaluate_files(paths, "brier", shard=(1, 2))


def test_command_line(tmp_path, capsys):
    made(3, 900).write_parquet(tmp_path / "a.parquet")
    words = ["eval", str(tmp_path / "a.parquet"), "-l", "log_loss", "--by", "text", "--worst", "3"]
    for i in (1, 2):
        assert command([*words, "--state", str(tmp_path / f"{i}.fls"), "--shard", f"{i}/2"]) == 0
        captured = capsys.readouterr()
        assert captured.out == "" and f"shard {i} of 2, saved to {tmp_path / f'{i}.fls'}: 450 rows of 1 file" in captured.err
    assert command([*words, "--json"]) == 0
    expected = json.loads(capsys.readouterr().out)
    assert command(["merge", str(tmp_path / "1.fls"), str(tmp_path / "2.fls"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found.pop("timing") and expected.pop("timing") and found == expected
    assert command([*words, "-q"]) == 0
    table = capsys.readouterr().out
    assert command(["merge", str(tmp_path / "*.fls"), "-q"]) == 0
    assert capsys.readouterr().out == table
    assert command(["merge", str(tmp_path / "2.fls")]) == 2
    assert "shard 1/2 is missing" in capsys.readouterr().err
    assert command(["merge", str(tmp_path / "2.fls"), "--partial", str(tmp_path / "p")]) == 0
    assert f"saved to {tmp_path / 'p'}: 450 rows of 1 file, " in capsys.readouterr().err
    (tmp_path / "2.fls").write_bytes(b"x")
    assert command(["merge", str(tmp_path / "2.fls")]) == 3
    for wrong in ("0/2", "3/2", "1", "a/b", "1/"):
        assert command([*words, "--state", "s", "--shard", wrong]) == 2
        assert "is no I/N" in capsys.readouterr().err
    assert command([*words, "--shard", "1/2"]) == 2
    assert command([*words, "--shard", "1/2", "--state", "s", "--json"]) == 2
    capsys.readouterr()
    assert command([*words, "--shard", "1/2", "--state", "s", "--html", str(tmp_path / "s.html")]) == 2
    assert "--html is of the whole" in capsys.readouterr().err


def test_a_merge_as_a_page(tmp_path, capsys):
    """What the shards were asked for is in it, as in one of the whole; shards that are missing are named in page, table and JSON."""
    made(3, 900).write_parquet(tmp_path / "a.parquet")
    asked = {"by": "text", "spread": True, "worst": 3, "calibration": True}
    states = list(map(str, sharded([tmp_path / "a.parquet"], LOSSES, 3, tmp_path, **asked)))
    page, whole, saved = (str(tmp_path / name) for name in ("r.html", "whole.html", "12.fls"))
    evaluate_files(tmp_path / "a.parquet", LOSSES, **asked).write_html(whole)
    assert command(["merge", *states, "--html", page]) == 0
    assert Path(page).read_bytes() == Path(whole).read_bytes() and "not of all data" not in capsys.readouterr().out
    checked(Path(page).read_text())
    assert command(["merge", states[0], states[2], "--html", page, "--partial", saved]) == 0
    captured, rows = capsys.readouterr(), "rows 300 to 599 of " + str(tmp_path / "a.parquet")
    assert captured.out.count(f"\nnot of all data: shard 2/3 is missing: {rows} is counted in none\n") == 1
    assert f"saved to {saved}: 600 rows of 1 file, " in captured.err
    words = checked(Path(page).read_text()).words
    assert "These are not the numbers of all the data: shard 2/3 is missing: rows 300 to 599 of" in words and "On 600 predictions" in words
    assert command(["merge", saved, "--partial", saved, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["missing"]["shards"] == ["2/3"] and found["rows"] == 600
    assert found["missing"]["rows"] == [{"path": str(tmp_path / "a.parquet"), "first": 300, "stop": 600}]
    assert command(["merge", states[1], "--partial", str(tmp_path / "2"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["missing"]["shards"] == ["1/3", "3/3"]
    assert command(["merge", saved, states[1], "--partial", saved, "--json"]) == 0
    assert "missing" not in json.loads(capsys.readouterr().out)
    for name in ("r.txt", "12.fls"):
        assert command(["merge", *states, "--html", str(tmp_path / name)]) == 2
    assert command(["merge", *states, "--html", page, "--partial", page]) == 2
    assert "give them two names" in capsys.readouterr().err
    made(3, 2).write_parquet(tmp_path / "two.parquet")
    (tmp_path / "two").mkdir()
    empty = [path for path in sharded([tmp_path / "two.parquet"], "mse", 3, tmp_path / "two") if not load(path).part.covered.total]
    assert command(["merge", str(empty[0]), "--partial", saved + "0", "--html", page]) == 2
    assert "there is nothing to report" in capsys.readouterr().err


# pieces, for engines


def test_pieces_in_other_processes(folder, tmp_path):  # noqa: F811
    """Nothing but text and pieces goes to a worker, and nothing but bytes comes back."""
    expected = evaluate_files(folder, LOSSES, **ASKED)
    request = pieces.plan_files(folder, LOSSES, **ASKED)
    work = pieces.pieces(request, 70)
    assert isinstance(request, str) and pickle.loads(pickle.dumps(work)) == work
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        results = list(pool.map(pieces.count_piece, [request] * len(work), work, chunksize=4))
    assert all(isinstance(result, bytes) for result in results)
    assert everything(pieces.gather(request, results[::-1])) == everything(expected)
    with pytest.raises(SourceError, match=r"rows \d+ to \d+ of \S+ is missing|not all is counted"):
        pieces.gather(request, results[:3] + results[4:])
    with pytest.raises(SourceError, match="is counted twice"):
        pieces.gather(request, [*results, results[5]])
    other = pieces.plan_files(folder, "mse")
    with pytest.raises(SourceError, match="a piece is of other work"):
        pieces.gather(other, results)
    for damaged in (results[0][:-1], b"", results[0].replace(b"positives", b"negatives")):
        with pytest.raises(DataError, match="piece of a fastloss evaluation"):
            pieces.gather(request, [damaged])


def test_pieces_in_threads(folder):  # noqa: F811
    """Threads of a process share the open plan, and nothing else."""
    request = pieces.plan_files(folder, LOSSES, keep_going=True, **ASKED)
    work = pieces.pieces(request) * 5
    with ThreadPoolExecutor(5) as pool:
        results = list(pool.map(lambda piece: pieces.count_piece(request, piece, chunk_rows=29, n_threads=1), work))
    count = len(work) // 5
    assert results == results[:count] * 5
    assert everything(pieces.gather(request, results[:count])) == everything(evaluate_files(folder, LOSSES, **ASKED))


def test_pieces_of_files_that_changed(tmp_path):
    made(3, 900).write_parquet(tmp_path / "a.parquet")
    request = pieces.plan_files(tmp_path / "a.parquet", LOSSES)
    pieces.count_piece(request, Piece(0, 0, 100))
    made(4, 900).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(SourceError, match="a.parquet was changed since the work was planned"):
        pieces.count_piece(request, Piece(0, 0, 100))
    pieces.opened.cache_clear()
    with pytest.raises(SourceError, match="the work is not what was planned: .*a.parquet"):
        pieces.count_piece(request, Piece(0, 0, 100))
    with pytest.raises(TypeError, match="no argument 'state'"):
        pieces.plan_files(tmp_path / "a.parquet", LOSSES, state="x")
    with pytest.raises(SourceError, match="standard input"):
        pieces.plan_files("-", LOSSES)


def test_pieces_of_rows_and_of_broken_files(tmp_path):
    rng = np.random.default_rng(1)
    for i in range(3):
        np.savez(tmp_path / f"{i}.npz", t=rng.integers(0, 4, 200) + 9 * (i == 1), p=rng.standard_normal((200, 4)))
    options = {"target": "t", "prediction": "p", "keep_going": True, "per_class": True, "worst": 3, "calibration": True}
    request = pieces.plan_files(sorted(map(Path, tmp_path.glob("*.npz"))), fl.SoftmaxCrossEntropy(ignore_index=2), **options)
    results = [pieces.count_piece(request, piece, chunk_rows=30) for piece in pieces.pieces(request, 50)]
    found = pieces.gather(request, results)
    expected = evaluate_files(tmp_path, fl.SoftmaxCrossEntropy(ignore_index=2), **options)
    assert everything(found) == everything(expected) and len(results) == 3 and len(found.left_out) == 1


def test_a_merged_state_replaces_no_data(tmp_path):
    data, states = tmp_path / "t.parquet", [tmp_path / "1.fls", tmp_path / "2.fls"]
    pl.DataFrame({"y": [0.0, 1.0], "p": [0.5, 0.5]}).write_parquet(data)
    for i, state in enumerate(states, 1):
        evaluate_files(data, "mse", state=state, shard=(i, 2))
    before = data.read_bytes()
    with pytest.raises(DataError, match="t.parquet: not a fastloss evaluation state"):
        fl.merge_states(states, partial=data)
    assert data.read_bytes() == before
    for _ in range(2):  # a state may be replaced
        assert fl.merge_states(states, partial=tmp_path / "all.fls").rows == 2


def test_a_merge_replaces_no_state_that_has_more(tmp_path, capsys):
    """``merge --partial 1.fls 2.fls`` means 1.fls as the place to save to: the shard that is there stays."""
    made(3, 900).write_parquet(tmp_path / "a.parquet")
    states = list(map(str, sharded([tmp_path / "a.parquet"], LOSSES, 3, tmp_path)))
    before = Path(states[0]).read_bytes()
    assert command(["merge", "--partial", *states]) == 2
    assert "is a state of what these lack; merge it with them, or save to another file" in capsys.readouterr().err
    other = tmp_path / "other.fls"
    evaluate_files(tmp_path / "a.parquet", "mse", state=other)
    assert command(["merge", *states, "--partial", str(other)]) == 2, "a state of other work"
    assert Path(states[0]).read_bytes() == before
    assert command(["merge", *states, "--partial", states[0]]) == 0 and load(states[0]).part.covered.total == 900


def test_a_link_to_a_state_stays_one(tmp_path):
    made(3, 900).write_parquet(tmp_path / "a.parquet")
    (tmp_path / "link.fls").symlink_to(tmp_path / "s.fls")
    evaluate_files(tmp_path / "a.parquet", "mse", state=tmp_path / "link.fls")
    assert (tmp_path / "link.fls").is_symlink() and load(str(tmp_path / "s.fls")).part.covered.total == 900
