"""Losses and gradients of single samples, written beside an evaluation: what is in them, and that a file is whole or not there."""

import os

import numpy as np
import polars as pl
import pytest

import fastloss as fl
from fastloss.cli import main
from fastloss.evaluation.errors import SourceError

N = 5_000


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(1)
    table = pl.DataFrame({"y": rng.integers(0, 2, N), "p": rng.uniform(0.01, 0.99, N).astype(np.float32)})
    table = table.with_columns(pl.Series(f"z_{j}", rng.standard_normal(N)) for j in range(3)).with_columns(
        t=pl.Series(rng.integers(0, 3, N))
    )
    table.head(3_000).write_parquet(tmp_path / "a.parquet")
    table.tail(2_000).write_csv(tmp_path / "b.csv")
    return tmp_path, table, [tmp_path / "a.parquet", tmp_path / "b.csv"]


def left(folder):
    return sorted(name for name in os.listdir(folder) if "part" in name or name.startswith("out"))


@pytest.mark.parametrize("chunk_rows", [2**18, 700])
@pytest.mark.parametrize("gradients", [False, True])
def test_what_is_written_is_what_the_losses_are(folder, gradients, chunk_rows):
    path, table, files = folder
    found = {}
    for suffix in (".parquet", ".npy"):
        out = path / f"out{suffix}"
        evaluation = fl.evaluate_files(files, ["log_loss", "rmse"], output=out, gradients=gradients, chunk_rows=chunk_rows)
        assert evaluation.costs == fl.evaluate_files(files, ["log_loss", "rmse"]).costs
        found[suffix] = pl.read_parquet(out) if suffix == ".parquet" else np.load(out)
    written = found[".parquet"]
    assert written["file"].to_list() == [os.fspath(files[0])] * 3_000 + [os.fspath(files[1])] * 2_000
    assert written["row"].to_list() == [*range(3_000), *range(2_000)]
    names = [f"{what}_{name}" for name in ("log_loss", "rmse") for what in ("loss", "gradient")[: 1 + gradients]]
    assert written.columns == ["file", "row", *names] and list(found[".npy"].dtype.names) == names
    y, p, later = table["y"].to_numpy(), table["p"].to_numpy(), pl.read_csv(files[1])["p"].to_numpy()
    for name, loss in (("log_loss", fl.get("log_loss")), ("rmse", fl.get("mse"))):
        for what in ("loss", "gradient")[: 1 + gradients]:
            expected = getattr(loss, what)(y[:3000], p[:3000])
            for given in (written[f"{what}_{name}"].to_numpy(), found[".npy"][f"{what}_{name}"]):
                np.testing.assert_array_equal(given[:3000], expected)
                np.testing.assert_array_equal(given[3000:], getattr(loss, what)(y[3000:], later).astype(np.float32))
    assert left(path) == ["out.npy", "out.parquet"]


def test_rows_of_scores_and_missing_labels(folder):
    path, table, _ = folder
    table = table.with_columns(t=pl.when(pl.col("t") == 2).then(None).otherwise(pl.col("t")))
    table.write_parquet(path / "c.parquet")
    out = path / "out.parquet"
    fl.evaluate_files(
        path / "c.parquet", "cross_entropy", target="t", prediction="z_*", nan="skip", output=out, gradients=True, chunk_rows=999
    )
    written, there = pl.read_parquet(out), table["t"].is_not_null().to_numpy()
    z, t = table.select("z_0", "z_1", "z_2").to_numpy(), table["t"].to_numpy()[there].astype(int)
    loss, gradient = fl.get("cross_entropy").loss_gradient(t, z[there])
    np.testing.assert_array_equal(written["loss_cross_entropy"].to_numpy()[there], loss)
    np.testing.assert_array_equal(written["gradient_cross_entropy"].to_numpy()[there], gradient)
    assert np.isnan(written["loss_cross_entropy"].to_numpy()[~there]).all()
    fl.evaluate_files(path / "c.parquet", "cross_entropy", target="t", prediction="z_*", nan="skip", output=path / "out.npy")
    one = np.load(path / "out.npy")
    assert one.shape == (N,)
    np.testing.assert_array_equal(one[there], loss)


@pytest.mark.parametrize("suffix", [".parquet", ".npy"])
def test_a_run_that_fails_leaves_what_was_there(folder, suffix):
    path, table, files = folder
    out = path / f"out{suffix}"
    out.write_bytes(b"before")
    table.with_columns(p=pl.when(pl.int_range(N) == 4_000).then(2.0).otherwise(pl.col("p"))).write_csv(path / "d.csv")
    with pytest.raises(ValueError, match="row 4000"):
        fl.evaluate_files([*files, path / "d.csv"], "log_loss", output=out, chunk_rows=500)
    assert out.read_bytes() == b"before" and left(path) == [f"out{suffix}"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"output": "x.csv"}, r"`output` must be a file of type .parquet or .npy, got 'x.csv'"),
        ({"output": "none/x.npy"}, "`output`: .*none cannot be written to: No such file"),
        ({"gradients": True}, "`gradients` are written to a file"),
        ({"output": "x.npy", "keep_going": True}, "does not go with keep_going"),
        ({"output": "x.npy", "state": "s.fls"}, "goes neither with a state"),
        ({"output": "x.npy", "engine": "dask"}, "nor with an engine"),
        ({"output": "x.npy", "gradients": True, "losses": "top_k_error", "target": "t", "prediction": "z_*"}, "top_k_error has none"),
    ],
)
def test_what_cannot_be_written_is_refused_before(folder, given, message, monkeypatch):
    path, _, files = folder
    monkeypatch.chdir(path)
    with pytest.raises(SourceError, match=message):
        fl.evaluate_files(files, given.pop("losses", ["mse"]), **given)
    assert left(path) == [] and not (path / "s.fls").exists()


def test_command_line(folder, capsys):
    path, _, files = folder
    assert main(["eval", *map(str, files), "-l", "mse", "-o", str(path / "out.npy"), "--gradients", "-q"]) == 0
    assert np.load(path / "out.npy").dtype.names == ("loss_mse", "gradient_mse")
    assert main(["eval", *map(str, files), "-l", "mse", "-o", str(path / "out.txt")]) == 2
    assert "`output` must be a file of type" in capsys.readouterr().err


def test_no_file_that_is_evaluated_is_replaced(folder):
    path, table, files = folder
    before = files[0].read_bytes()
    with pytest.raises(SourceError, match=r"`output` would replace .*a\.parquet, which is evaluated"):
        fl.evaluate_files(files, "mse", output=files[0])
    os.symlink(files[0], path / "link.parquet")
    with pytest.raises(SourceError, match=r"would replace .*link\.parquet"):
        fl.evaluate_files(path / "link.parquet", "mse", output=files[0])
    assert files[0].read_bytes() == before
    for name in "yp":
        np.save(path / f"{name}.npy", table[name].to_numpy())
    with pytest.raises(SourceError, match=r"would replace .*p\.npy"):
        fl.evaluate_files([], "mse", target=path / "y.npy", prediction=path / "p.npy", output=path / "p.npy")
    np.testing.assert_array_equal(np.load(path / "p.npy"), table["p"].to_numpy())
    with pytest.raises(SourceError, match=r"the output .* would be among the files of .*; save it outside of it"):
        fl.evaluate_files(path, "mse", output=path / "out.parquet")
    (path / "folder.parquet").mkdir()
    with pytest.raises(SourceError, match=r"`output`: .*folder\.parquet is a directory"):
        fl.evaluate_files(files, "mse", output=path / "folder.parquet")
    assert left(path) == []


@pytest.mark.parametrize("suffix", [".npy", ".parquet"])
def test_losses_with_parameters_keep_their_names(folder, suffix):
    path, table, files = folder
    names, out = ["huber:delta=0.25", "huber:delta=3"], path / f"out{suffix}"
    fl.evaluate_files(files, names, output=out, gradients=True)
    found = np.load(out) if suffix == ".npy" else pl.read_parquet(out)
    for name in names:
        np.testing.assert_array_equal(found[f"loss_{name}"][:3000], fl.get(name).loss(table["y"].to_numpy(), table["p"].to_numpy())[:3000])
        assert np.isfinite(np.asarray(found[f"gradient_{name}"])).all()
