"""Parquet files of large row groups: pyarrow reads them in batches, and all answers have the bits that polars' reading gives."""

import base64
import builtins
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

import fastloss as fl
from fastloss.evaluation import DataError, SourceError, evaluate_files, inspect_files, parquet
from tests.test_answers_of_files import told

ASKED = {"by": ["text", "flag", "day", "number"], "weight": "w", "spread": True, "worst": 7, "bootstrap": 20, "calibration": True}


def table(n=5000):
    rng = np.random.default_rng(3)
    p = rng.random(n) * 0.98 + 0.01
    days = np.datetime64("2026-01-01") + rng.integers(0, 3, n)
    return pl.DataFrame(
        {
            "y": (rng.random(n) < p).astype(np.int8), "p": p.astype(np.float32), "w": rng.random(n),
            "text": rng.choice(["a", "é", ""], n), "category": pl.Series(rng.choice(["u", "v"], n), dtype=pl.Categorical),
            "flag": rng.random(n) < 0.5, "day": days.astype("datetime64[D]"), "number": rng.integers(-2, 2, n),
            "rows": rng.random((n, 3), np.float32), "label": rng.integers(0, 3, n),
            "lists": pl.Series(rng.random((n, 3)).tolist(), dtype=pl.List(pl.Float64)),
        }
    ).with_columns(pl.when(pl.col("number") == -2).then(None).otherwise(pl.col("number")).alias("number"))  # fmt: skip


@pytest.fixture
def path(tmp_path):
    table().write_parquet(tmp_path / "x.parquet", row_group_size=1700)
    return tmp_path / "x.parquet"


@pytest.fixture
def batches(monkeypatch):
    """Makes row groups of any size large; the list of files that are read in batches."""
    found, read = [], parquet.ParquetFile.read

    def reading(self, *arguments):
        found.append(self.path)
        return read(self, *arguments)

    monkeypatch.setattr(parquet, "LARGE", 0)
    monkeypatch.setattr(parquet.ParquetFile, "read", reading)
    return found


def both(monkeypatch, batches, *arguments, **options):
    """The same evaluation by pyarrow and by polars."""
    ours = evaluate_files(*arguments, **options)
    assert len(batches) == 1
    monkeypatch.setattr(parquet, "LARGE", 2**60)
    theirs = evaluate_files(*arguments, **options)
    assert len(batches) == 1
    return ours, theirs


@pytest.mark.parametrize("chunk_rows", [256, 1700, 2**18])
def test_bits_are_those_of_polars(path, batches, monkeypatch, chunk_rows):
    ours, theirs = both(monkeypatch, batches, path, ["log_loss", "brier"], chunk_rows=chunk_rows, **ASKED)
    assert ours.state.to_bytes() == theirs.state.to_bytes() and told(ours) == told(theirs) and len(ours.segments) > 20


@pytest.mark.parametrize(("prediction", "by"), [("rows", "category"), ("lists", None)])
def test_rows_of_scores(path, batches, monkeypatch, prediction, by):
    asked = {"target": "label", "prediction": prediction, "by": by, "chunk_rows": 300}
    ours, theirs = both(monkeypatch, batches, path, "softmax_cross_entropy", **asked)
    assert ours.state.to_bytes() == theirs.state.to_bytes() and told(ours) == told(theirs)


def test_any_stretch_of_rows(path, batches):
    source = parquet.ParquetFile(str(path), 1)
    expected = table()["w"].to_numpy()
    wants = [want_of("w")]
    for first, stop in [(0, None), (0, 1), (1, 1699), (1699, 1701), (1700, 3400), (3400, 5000), (4999, None), (123, 4567), (17, 17)]:
        found = list(source.chunks(wants, 450, first, stop))
        stop = 5000 if stop is None else stop
        assert np.array_equal(np.concatenate([np.empty(0), *(chunk.arrays[0] for chunk in found)]), expected[first:stop])
        assert [chunk.first for chunk in found] == list(np.cumsum([first, *(chunk.rows for chunk in found)])[:-1])
    assert len(batches) == 9


def want_of(name):
    from fastloss.evaluation.source import Want

    return Want("y_pred", name)


def test_shards_and_state(path, batches, tmp_path):
    from fastloss.evaluation import merge_states

    for i in (1, 2, 3):
        evaluate_files(path, "mse", state=tmp_path / f"{i}.fls", shard=(i, 3))
    assert len(batches) == 3
    assert merge_states(tmp_path / "*.fls").state.to_bytes() == evaluate_files(path, "mse").state.to_bytes()


def test_damage_is_told(path, batches):
    data = bytearray(path.read_bytes())
    data[200:6000] = bytes(5800)
    path.write_bytes(data)
    with pytest.raises(DataError, match="x.parquet: not a Parquet file, or a truncated or damaged one"):
        evaluate_files(path, "mse")


def test_without_pyarrow_polars_reads_and_inspect_says_so(path, batches, monkeypatch):
    expected, really = evaluate_files(path, "mse"), builtins.__import__

    def without(name, *arguments):
        if name.partition(".")[0] == "pyarrow":
            raise ImportError(name)
        return really(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    assert evaluate_files(path, "mse").state.to_bytes() == expected.state.to_bytes()
    assert len(batches) == 1
    (found,) = inspect_files(path)
    assert found.error is None and any("with pyarrow, which is not there" in sentence for sentence in found.advice)


def test_inspect_knows_which_are_large():
    from fastloss.evaluation import inspect

    assert inspect.LARGE == parquet.LARGE


def test_small_row_groups_are_left_to_polars(path, batches, monkeypatch):
    monkeypatch.setattr(parquet, "LARGE", 2**20)
    assert evaluate_files(path, "mse").rows == 5000 and batches == []


def encrypted(path):
    """A file whose footer is plain, and whose column p is encrypted."""
    encryption = pytest.importorskip("pyarrow.parquet.encryption")
    from pyarrow.parquet import ParquetWriter

    class Keys(encryption.KmsClient):
        def wrap_key(self, key, _master):
            return base64.b64encode(key)

    asked = encryption.EncryptionConfiguration(footer_key="f", column_keys={"c": ["p"]}, plaintext_footer=True)
    factory = encryption.CryptoFactory(lambda _: Keys())
    properties = factory.file_encryption_properties(encryption.KmsConnectionConfig(), asked)
    columns = table().select("y", "p", "w").to_arrow()
    with ParquetWriter(path, columns.schema, encryption_properties=properties) as writer:
        writer.write_table(columns)


def test_encrypted_columns_are_an_error_and_not_the_end_of_the_process(tmp_path):
    encrypted(tmp_path / "x.parquet")
    code = "import sys; from fastloss.evaluation import DataError, evaluate_files\n"
    code += "print(evaluate_files(sys.argv[1], 'mse', prediction='w')['mse'])\n"
    code += "try: evaluate_files(sys.argv[1], 'mse')\nexcept DataError as error: print(error)"
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "x.parquet"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    cost, message = done.stdout.strip().split("\n")
    y, w = table()["y"].to_numpy(), table()["w"].to_numpy()
    assert float(cost) == fl.mse(y, w) and "x.parquet" in message and "Column 'p' is encrypted" in message


def test_a_page_that_fails_its_checksum_is_an_error_with_its_place(tmp_path, batches):
    from pyarrow.parquet import read_metadata, write_table

    path = tmp_path / "x.parquet"
    columns = table().select("y", "w").to_arrow()
    write_table(columns, path, row_group_size=2000, use_dictionary=False, write_page_checksum=True, compression="none")
    data = bytearray(path.read_bytes())
    data[read_metadata(path).row_group(1).column(1).data_page_offset + 5000] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="x.parquet: .*row 2000 or one after it: .*checksum verification failed") as error:
        evaluate_files(path, "mse", prediction="w", chunk_rows=1000)
    assert str(error.value).isprintable() and batches


def test_a_column_without_a_name(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "LARGE", 0)
    table().select("y", pl.col("w").alias("")).write_parquet(tmp_path / "x.parquet")
    expected = fl.mse(table()["y"].to_numpy(), table()["w"].to_numpy())
    assert evaluate_files(tmp_path / "x.parquet", "mse", prediction="")["mse"] == expected


def test_names_in_messages_are_short_and_command_no_terminal(tmp_path):
    table().select(pl.col("y").alias("\x1b[2J" + "y" * 1000), "p").write_parquet(tmp_path / "x.parquet")
    with pytest.raises(SourceError, match="has no column 'y'") as error:
        evaluate_files(tmp_path / "x.parquet", "mse")
    assert str(error.value).isprintable() and len(str(error.value)) < 400
