"""Files of rows of C scores for the tests of reading them: the same data in every format."""

from pathlib import Path

import numpy as np
import polars as pl

from fastloss.cli import main
from fastloss.evaluation import evaluate_files

N, C = 211, 12
LOSS = "softmax_cross_entropy"
SAMPLE = Path(main.__code__.co_filename).parents[1] / "samples" / "iris.csv"
NAMES = [f"z_{j}" for j in range(C)]


def make_data():
    """Labels y, logits z and weights w, that are the same in text and in float64."""
    rng = np.random.default_rng(21)
    z = (rng.integers(-400, 400, (N, C)) / 64).astype(np.float32)
    return {"y": rng.integers(0, C, N), "z": z, "w": rng.integers(0, 9, N).astype(np.float32)}


def write_files(data, folder):
    """{case: (paths, target, prediction, weight)}, all of the same data."""
    y, z, w = data.values()
    columns = {"y": y} | {name: z[:, j] for j, name in reversed(list(enumerate(NAMES)))} | {"w": w}  # in the files' order, z_11 comes first
    frame = pl.DataFrame(columns)
    frame.write_csv(folder / "t.csv")
    frame.write_csv(folder / "t.tsv", separator="\t")
    frame.write_parquet(folder / "t.parquet", row_group_size=50)
    for name, dtype in (("list", pl.List(pl.Float32)), ("array", pl.Array(pl.Float32, C))):
        pl.DataFrame({"y": y, "z": pl.Series(z).cast(dtype), "w": w}).write_parquet(folder / f"{name}.parquet", row_group_size=50)
    for name, array in (("c", z), ("f", np.asfortranarray(z)), ("big", z.astype(">f4"))):
        np.save(folder / f"{name}.npy", array)
        np.savez(folder / f"{name}.npz", y=y, z=array, w=w)
    np.savez_compressed(folder / "deflated.npz", y=y, z=z, w=w)
    np.savez(folder / "columns.npz", **columns)
    np.save(folder / "y.npy", y)
    np.save(folder / "w.npy", w)
    np.save(folder / "table.npy", np.column_stack([y, z, w]))
    np.save(folder / "table_f.npy", np.asfortranarray(np.column_stack([y, z, w])))
    np.save(folder / "records.npy", np.rec.fromarrays([np.int8(y), *z.T, w], names=["y", *NAMES, "w"]).view(np.ndarray))
    beside = [str(folder / f"{name}.npy") for name in ("y", "w")]
    cases = {name: ([folder / name], "y", "z_*", "w") for name in ("t.csv", "t.tsv", "t.parquet", "columns.npz", "records.npy")}
    cases |= {f"list of {name}": ([folder / name], "y", NAMES, "w") for name in ("t.csv", "t.parquet", "records.npy")}
    cases |= {name: ([folder / name], "y", "z", "w") for name in ("list.parquet", "array.parquet", "deflated.npz")}
    cases |= {f"{name}.npz": ([folder / f"{name}.npz"], "y", "z", "w") for name in ("c", "f", "big")}
    cases |= {f"{name}.npy": ([], beside[0], str(folder / f"{name}.npy"), beside[1]) for name in ("c", "f", "big")}
    cases |= {name: ([folder / name], "0", ",".join(map(str, range(1, C + 1))), str(C + 1)) for name in ("table.npy", "table_f.npy")}
    cases["logits beside a table"] = ([folder / "t.csv"], "y", str(folder / "c.npy"), "w")
    cases["labels beside a table"] = ([folder / "t.parquet"], beside[0], "z_*", "w")
    return cases


CASES = ["t.csv", "t.tsv", "t.parquet", "columns.npz", "records.npy", "list of t.csv", "list of t.parquet", "list of records.npy"]
CASES += [
    "list.parquet",
    "array.parquet",
    "deflated.npz",
    "c.npz",
    "f.npz",
    "big.npz",
    "c.npy",
    "f.npy",
    "big.npy",
    "table.npy",
    "table_f.npy",
]
CASES += ["logits beside a table", "labels beside a table"]


def run(case, losses=LOSS, weighted=True, **options):
    paths, target, prediction, weight = case
    return evaluate_files(paths, losses, target=target, prediction=prediction, weight=weight if weighted else None, **options)
