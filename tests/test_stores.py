"""Files in an object store: the bits of the same files on a disk, state and shards, changes noticed, and a word for what goes wrong.

The store is a server of moto's, on this machine: in a process of its own, because polars lists files without letting Python go on.
"""

import os
import re
import subprocess
import sys
import time
import traceback

import numpy as np
import polars as pl
import pytest

from fastloss.cli import main as command
from fastloss.evaluation import DataError, SourceError, compare_files, evaluate_files, inspect_files, merge_states, suggest_files
from tests.test_answers_of_files import told

pytest.importorskip("moto.server")
boto3 = pytest.importorskip("boto3")

BUCKET, SECRET = "predictions", "not-to-be-told"
ASKED = {"by": ["day", "kind"], "spread": True, "worst": 5, "bootstrap": 20, "calibration": True}
LOSSES = ["log_loss", "brier"]
KEYS = ("p/day=1/0.parquet", "p/day=1/1.csv", "p/day=2/2.jsonl", "p/day=2/3.arrow", "p/day=3/4.tsv")


def table(n=1000, seed=0):
    rng = np.random.default_rng(seed)
    p = rng.random(n) * 0.98 + 0.01
    y = (rng.random(n) < p).astype(np.int64)
    return pl.DataFrame({"y": y, "p": p, "kind": rng.choice(["a", "b"], n)})


def write(frame, path):
    writer = {".parquet": lambda: frame.write_parquet(path, row_group_size=64), ".csv": lambda: frame.write_csv(path),
              ".tsv": lambda: frame.write_csv(path, separator="\t"), ".jsonl": lambda: frame.write_ndjson(path),
              ".arrow": lambda: frame.write_ipc(path)}  # fmt: skip
    writer[path.suffix]()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of a store."""
    log = tmp_path_factory.mktemp("server") / "log"
    line = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with open(log, "w") as file, subprocess.Popen(line, stdout=file, stderr=file) as process:
        try:
            while (found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text())) is None:
                assert process.poll() is None, log.read_text()
                time.sleep(0.05)
            yield found[0]
        finally:
            process.kill()


@pytest.fixture(scope="module")
def options(server):
    return {"aws_endpoint_url": server, "aws_access_key_id": "someone", "aws_secret_access_key": SECRET, "aws_region": "us-east-1",
            "aws_allow_http": "true", "max_retries": "1"}  # fmt: skip


@pytest.fixture(scope="module")
def client(server):
    found = boto3.client(
        "s3", endpoint_url=server, aws_access_key_id="someone", aws_secret_access_key=SECRET, region_name="us-east-1"
    )  # fmt: skip
    found.create_bucket(Bucket=BUCKET)
    return found


@pytest.fixture(scope="module")
def folder(client, tmp_path_factory):
    """Files on a disk, which the store has, too."""
    folder = tmp_path_factory.mktemp("stores")
    for i, key in enumerate(KEYS):
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        write(table(seed=i), folder / key)
        client.upload_file(os.fspath(folder / key), BUCKET, key)
    client.put_object(Bucket=BUCKET, Key="p/_SUCCESS", Body=b"done")
    return folder


def same(found, expected):
    """All answers, to the bit; paths but for where they begin."""
    assert [(r.name, r.cost, r.n) for r in found.results] == [(r.name, r.cost, r.n) for r in expected.results]
    assert found.state.to_bytes() == expected.state.to_bytes()
    start = os.path.commonpath([file["path"] for file in expected.files])
    place = re.sub(r"/p/.*", "/p", found.files[0]["path"])
    assert [file["path"].replace(place, start) for file in found.files] == [file["path"] for file in expected.files]
    assert repr(told(found)).replace(place, start) == repr(told(expected))


@pytest.mark.parametrize("name", [f"s3://{BUCKET}/p/", f"s3://{BUCKET}/p", f"s3://{BUCKET}/p/*/[0-9].*"])
def test_the_bits_of_the_same_files_on_a_disk(folder, options, name):
    found = evaluate_files(name, LOSSES, storage_options=options, chunk_rows=300, **ASKED)
    same(found, evaluate_files(folder / "p", LOSSES, chunk_rows=300, **ASKED))


@pytest.mark.parametrize("key", KEYS)
def test_one_file(folder, options, key):
    found = evaluate_files(f"s3://{BUCKET}/{key}", LOSSES, storage_options=options)
    assert found.state.to_bytes() == evaluate_files(folder / key, LOSSES).state.to_bytes()


def test_signed_addresses_are_read_and_not_told(folder, client, tmp_path):
    address = client.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": KEYS[0]})
    found = evaluate_files(address, "mse", state=tmp_path / "s.fls")
    (file,) = found.files
    assert found.costs == evaluate_files(folder / KEYS[0], "mse").costs
    assert file["path"].endswith(".parquet?...") and b"Signature" not in (tmp_path / "s.fls").read_bytes()
    with pytest.raises(SourceError) as error:
        evaluate_files(address, "mse", prediction="q")
    assert "Signature" not in str(error.value)


class StoppedError(Exception):
    pass


def stop(done, _total):
    if done > 1300:
        raise StoppedError


def test_a_stopped_run_goes_on_and_its_state_holds_no_secret(folder, options, tmp_path):
    asked = {"state": tmp_path / "s.fls", "save_every": 0, "chunk_rows": 300, "storage_options": options} | ASKED
    with pytest.raises(StoppedError):
        evaluate_files(f"s3://{BUCKET}/p/", LOSSES, progress=stop, **asked)
    assert SECRET.encode() not in (tmp_path / "s.fls").read_bytes()
    found = evaluate_files(f"s3://{BUCKET}/p/", LOSSES, **asked)
    assert found.resumed == 1300
    same(found, evaluate_files(folder / "p", LOSSES, chunk_rows=300, **ASKED))


def test_shards_are_merged(folder, options, tmp_path):
    rows = [
        evaluate_files(f"s3://{BUCKET}/p/", LOSSES, state=tmp_path / f"{i}.fls", shard=(i, 3), storage_options=options, **ASKED).rows
        for i in (1, 2, 3)
    ]
    assert sum(rows) == 5000 and max(rows) < 5000
    same(merge_states(tmp_path / "*.fls"), evaluate_files(folder / "p", LOSSES, **ASKED))


@pytest.mark.parametrize(("key", "n"), [("c/0.parquet", 1000), ("c/0.parquet", 999), ("c/0.csv", 1000)])
def test_a_file_that_was_written_again_is_noticed(client, options, tmp_path, key, n):
    path = tmp_path / os.path.basename(key)
    for rows, seed in ((1000, 1), (n, 2)):
        write(table(rows, seed), path)
        client.upload_file(os.fspath(path), BUCKET, key)
        if seed == 1:
            evaluate_files(f"s3://{BUCKET}/{key}", "mse", state=tmp_path / "s.fls", storage_options=options)
    with pytest.raises(SourceError, match="was begun as other work: .* was changed"):
        evaluate_files(f"s3://{BUCKET}/{key}", "mse", state=tmp_path / "s.fls", storage_options=options)


def test_inspect_suggest_and_compare(folder, options):
    here, there = inspect_files(folder / KEYS[0]), inspect_files(f"s3://{BUCKET}/{KEYS[0]}", storage_options=options)
    assert (there[0].rows, there[0].columns, there[0].guess) == (here[0].rows, here[0].columns, here[0].guess)
    path = f"s3://{BUCKET}/{KEYS[0]}"
    assert suggest_files(path, storage_options=options).losses == suggest_files(folder / KEYS[0]).losses
    found = compare_files(path, folder / KEYS[0], LOSSES, storage_options=options)
    assert [result.difference for result in found.results] == [0.0, 0.0] and found.rows == 1000


def environment(options):
    names = {"aws_endpoint_url": "AWS_ENDPOINT_URL", "aws_allow_http": "AWS_ALLOW_HTTP"}
    return {names.get(name, name.upper()): value for name, value in options.items() if name != "max_retries"}


def test_the_command_line(folder, options, capsys, monkeypatch):
    line = ["eval", f"s3://{BUCKET}/p/**/*.parquet", "-l", "log_loss", "--json"]
    given = [word for pair in options.items() for word in ("--storage-option", "=".join(pair))]
    assert command([*line, *given]) == 0
    assert f'"cost": {evaluate_files(folder / KEYS[0], "log_loss")["log_loss"]!r}' in capsys.readouterr().out
    assert command(["inspect", f"s3://{BUCKET}/{KEYS[0]}", *given]) == 0
    assert "1000" in capsys.readouterr().out
    for name, value in environment(options).items():
        monkeypatch.setenv(name, value)
    assert command(line) == 0
    assert command([*line, "--storage-option", SECRET]) == 2
    assert SECRET not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("s3://predictions/none.parquet", {}, "there is no such file in the store"),
        ("s3://predictions/none*.parquet", {}, "no file matches"),
        ("s3://nowhere/x.parquet", {}, "there is no such bucket"),
        ("s3://nowhere/*.parquet", {}, "there is no such bucket"),
        ("s3://predictions/x.parquet", {"aws_endpoint_url": "http://127.0.0.1:9"}, "it cannot be reached: check network, and endpoint"),
        ("s3://predictions/y.npy", {}, "cannot be read from a store.*download it, or"),
        ("s3://predictions/y.csv.gz", {}, "cannot be read from a store.*pipe it into standard input"),
        ("ftp://predictions/y.csv", {}, "addresses are read that begin with s3"),
    ],
)
def test_what_a_store_refuses_is_told_with_the_remedy(client, options, name, change, message):
    with pytest.raises(SourceError, match=message) as error:
        evaluate_files(name, "mse", storage_options=options | change)
    assert SECRET not in str(error.value) and str(error.value).count("\n") == 0


def test_private_files_are_refused(client, server):
    with pytest.raises(SourceError, match="the store refuses access; ask its owner"):
        evaluate_files(f"{server}/{BUCKET}/{KEYS[0]}", "mse")


def test_bad_contents_are_bad_data(client, options):
    late = b"y,p\n" + 2000 * b"1,0.5\n" + b"0,no\n"
    for key, data in (("bad/0.parquet", b"PAR1 and no more than that"), ("bad/1.csv", late), ("bad/2.csv", b"y,p\n1,2,3\n")):
        client.put_object(Bucket=BUCKET, Key=key, Body=data)
        with pytest.raises(DataError, match=key):
            evaluate_files(f"s3://{BUCKET}/{key}", "mse", storage_options=options)
    with pytest.raises(DataError, match="row 2000: column 'p' must hold"):
        evaluate_files(f"s3://{BUCKET}/bad/1.csv", "mse", storage_options=options)


def test_broken_files_are_left_out(folder, client, options):
    client.put_object(Bucket=BUCKET, Key="bad/0.parquet", Body=b"PAR1 and no more than that")
    found = evaluate_files([f"s3://{BUCKET}/{KEYS[0]}", f"s3://{BUCKET}/bad/0.parquet"], "mse", keep_going=True, storage_options=options)
    assert len(found.left_out) == 1 and found.costs == evaluate_files(folder / KEYS[0], "mse").costs


def test_storage_options_are_text_and_stay_here(options):
    with pytest.raises(SourceError, match="`storage_options` must be a dict of names"):
        evaluate_files("s3://b/x.parquet", "mse", storage_options={"aws_region": []})
    with pytest.raises(SourceError, match="'max_retries' has no value that polars takes") as error:
        evaluate_files("s3://b/x.parquet", "mse", storage_options={"max_retries": SECRET})
    assert SECRET not in str(error.value)
    with pytest.raises(SourceError, match="not sent to an engine's workers"):
        evaluate_files("s3://b/x.parquet", "mse", storage_options=options, engine="dask")


NAMES = ("a+b1", "aab1", "a|b", "part1", "part", "a(1)", "a[1]", "a?b", "a*b", "axb", "!x", "bx", "a^1", "a{2}")


@pytest.fixture(scope="module")
def odd(client):
    """What addresses of NAMES begin with: files that mean something in patterns or regular expressions, of 1, 2, ... rows."""
    for i, name in enumerate(NAMES):
        for kind, data in (("csv", b"y,p\n" + b"1,0.5\n" * (i + 1)), ("jsonl", b'{"y": 1, "p": 0.5}\n' * (i + 1))):
            client.put_object(Bucket=BUCKET, Key=f"odd/{name}.{kind}", Body=data)
    return f"s3://{BUCKET}/odd/"


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("a+b*", "a+b1"), ("a|*", "a|b"), ("part?", "part1"), ("a(*", "a(1)"), ("a[[]1]", "a[1]"), ("a[1]", "a[1]"), ("a[*]b", "a*b"),
        ("a[?]b", "a?b"), ("[!ap]x", "!x bx"), ("[^a!]x", "!x"), ("a^*", "a^1"), ("a{2}*", "a{2}"), ("a[1", ""), ("**/part[0-9]", "part1"),
    ],
)  # fmt: skip
def test_patterns_mean_what_they_mean_on_a_disk(odd, options, asked, found, kind):
    line = {"losses": "mse", "storage_options": options}
    if not found:
        with pytest.raises(SourceError, match="no file matches"):
            evaluate_files(f"{odd}{asked}.{kind}", **line)
    else:
        files = evaluate_files(f"{odd}{asked}.{kind}", **line).files
        assert [(file["path"], file["rows"]) for file in files] == [
            (f"{odd}{name}.{kind}", NAMES.index(name) + 1) for name in sorted(found.split())
        ]


def test_a_file_is_itself_whatever_its_name(odd, options):
    found = evaluate_files(odd, "mse", storage_options=options)
    assert {file["path"].removeprefix(odd): file["rows"] for file in found.files} == {
        f"{name}.{kind}": i + 1 for i, name in enumerate(NAMES) for kind in ("csv", "jsonl")
    }


def test_a_file_by_two_names_is_given_twice(folder, options):
    for other in ("s3a://predictions/p/day=1/0.parquet", "S3://predictions//p/day=1/0.parquet"):
        with pytest.raises(SourceError, match="is given twice"):
            evaluate_files([f"s3://{BUCKET}/{KEYS[0]}", other], "mse", storage_options=options)
    found = evaluate_files(f"S3://{BUCKET}/{KEYS[0]}", "mse", storage_options=options)
    assert found.files[0]["path"] == f"s3://{BUCKET}/{KEYS[0]}"


@pytest.mark.parametrize(
    "paths",
    [
        f"https://someone:{SECRET}@127.0.0.1:9/x.parquet", [f"http://127.0.0.1:9/x.csv?Signature={SECRET}"] * 2,
        f"http://127.0.0.1:9/x.jsonl?Signature={SECRET}", f"az://container/x.parquet?sv=1&sig={SECRET}", f"s3://b/*.csv?token={SECRET}",
        f"ftp://someone:{SECRET}@host/x.csv", [f"https://127.0.0.1:9/x.csv?sig={SECRET}"],
    ],
)  # fmt: skip
def test_what_addresses_hold_is_in_no_traceback(paths, options):
    columns = {"target": "y.npy", "prediction": "p.npy"} if paths == [f"https://127.0.0.1:9/x.csv?sig={SECRET}"] else {}
    with pytest.raises(SourceError) as error:
        evaluate_files(paths, "mse", storage_options=options, **columns)
    assert SECRET not in "".join(traceback.format_exception(error.value))


@pytest.mark.parametrize("change", [{"max_retries": SECRET}, {"aws_endpoint_url": f"http://someone:{SECRET}@127.0.0.1:9"}])
def test_options_are_in_no_traceback(options, change):
    with pytest.raises(SourceError) as error:
        evaluate_files("s3://b/x.parquet", "mse", storage_options=options | change)
    assert SECRET not in "".join(traceback.format_exception(error.value))
