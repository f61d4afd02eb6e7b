"""Two sets of predictions of rows of scores: labels, distributions, columns in any order and layout, labels that are missing."""

import numpy as np
import polars as pl
import pytest

import fastloss as fl
from fastloss.evaluation import SourceError


def test_labels_and_rows(tmp_path):
    rng = np.random.default_rng(0)
    words, z = np.array(["cat", "dog", "eel"]), rng.standard_normal((2, 60, 3))
    t = rng.integers(0, 3, 60)
    frames = [pl.DataFrame({f"{name}_{word}": part[:, j] for j, word in enumerate(words)}) for name, part in zip("ab", z, strict=True)]
    frames[0].with_columns(kind=words[t], id=np.arange(60)).write_parquet(tmp_path / "a.parquet")
    order = rng.permutation(60)
    frames[1].select("b_eel", "b_cat", "b_dog").with_columns(id=np.arange(60)).write_csv(tmp_path / "b.csv")
    frames[1].with_columns(id=np.arange(60), kind=words[t])[order].write_csv(tmp_path / "own.csv")
    expected = fl.compare(["cross_entropy", "perplexity"], t, *z, worst=2)
    for other, key in (("b.csv", None), ("b.csv", "id"), ("own.csv", "id")):
        found = fl.compare_files(
            tmp_path / "a.parquet", tmp_path / other, ["cross_entropy", "perplexity"], target="kind", prediction="a_*", against="b_*",
            key=key, worst=2,
        )  # fmt: skip
        assert found.results == expected.results and found.classes == ("cat", "dog", "eel")
        sample, same = found.worst["perplexity"][0], expected.worst["perplexity"][0]
        assert (sample.prediction_b, sample.number) == (same.prediction_b, same.number)
    with pytest.raises(SourceError, match="matches one column alone"):
        fl.compare_files(tmp_path / "a.parquet", tmp_path / "b.csv", "cross_entropy", target="kind", prediction="a_*", against="*t")
    frames[1].select("b_cat", "b_dog").rename({"b_dog": "b_cow"}).with_columns(b_eel=0.0).write_csv(tmp_path / "cow.csv")
    with pytest.raises(SourceError, match=r"classes of .*a.parquet are cat, dog, eel, and those of .*cow.csv cat, cow, eel; .*--classes"):
        fl.compare_files(tmp_path / "a.parquet", tmp_path / "cow.csv", "cross_entropy", target="kind", prediction="a_*", against="b_*")
    with pytest.raises(SourceError, match="columns"):
        fl.compare_files(
            tmp_path / "a.parquet", tmp_path / "b.csv", "cross_entropy", target="kind", prediction="a_*", against="b_cat,b_dog"
        )


@pytest.mark.parametrize("key", [None, "id"])
def test_distributions_in_any_layout(tmp_path, key):
    rng = np.random.default_rng(1)
    y, (a, b) = rng.dirichlet(np.ones(3), 50), rng.standard_normal((2, 50, 3))
    columns = {f"y_{j}": y[:, j] for j in range(3)}
    pl.DataFrame({"id": range(50), **columns} | {f"p_{j}": a[:, j] for j in range(3)}).write_parquet(tmp_path / "a.parquet")
    pl.DataFrame({"id": range(50), **columns} | {f"p_{j}": b[:, j] for j in range(3)}).write_csv(tmp_path / "b.csv")
    pl.DataFrame({"id": range(50), "p": b.tolist()}).write_parquet(tmp_path / "lists.parquet")
    expected = fl.compare("soft_label_cross_entropy", y, a, b).results
    for other, against in (("b.csv", None), ("lists.parquet", "p")):
        found = fl.compare_files(
            tmp_path / "a.parquet", tmp_path / other, "soft_label_cross_entropy", target="y_*", prediction="p_*", against=against, key=key,
            chunk_rows=7,
        )  # fmt: skip
        assert found.results == expected
    changed = pl.read_csv(tmp_path / "b.csv").with_columns(pl.when(pl.col("id") == 9).then(0.5).otherwise("y_1").alias("y_1"))
    changed.write_csv(tmp_path / "changed.csv")
    with pytest.raises(fl.DataError, match="row 9: column 'y_0': the targets of A and B differ"):
        fl.compare_files(
            tmp_path / "a.parquet", tmp_path / "changed.csv", "soft_label_cross_entropy", target="y_*", prediction="p_*", key=key
        )


def test_labels_that_are_missing_leave_their_pairs_out(tmp_path):
    rng = np.random.default_rng(2)
    t, z = [None if i % 9 == 4 else int(i % 3) for i in range(40)], rng.standard_normal((2, 40, 3))
    for name, scores in zip("ab", z, strict=True):
        pl.DataFrame({"y": t, **{f"p_{j}": scores[:, j] for j in range(3)}}).write_csv(tmp_path / f"{name}.csv")
    kept = np.array([label is not None for label in t])
    expected = fl.compare("cross_entropy", np.array([label for label in t if label is not None]), z[0][kept], z[1][kept], worst=2)
    found = fl.compare_files(tmp_path / "a.csv", tmp_path / "b.csv", "cross_entropy", prediction="p_*", nan="skip", worst=2, chunk_rows=6)
    mine, theirs = found["cross_entropy"], expected["cross_entropy"]
    assert (mine.n, mine.n_nan, mine.difference, mine.standard_error) == (40, 40 - kept.sum(), theirs.difference, theirs.standard_error)
    assert [s.prediction_b for s in found.worst["cross_entropy"]] == [s.prediction_b for s in expected.worst["cross_entropy"]]
    with pytest.raises(fl.DataError, match="a.csv, row 4: column 'y' has a missing value"):
        fl.compare_files(tmp_path / "a.csv", tmp_path / "b.csv", "cross_entropy", prediction="p_*")
