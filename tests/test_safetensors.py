"""safetensors: tensors of one and two dimensions, bfloat16, and headers that lie."""

import json
import os
import struct

import ml_dtypes
import numpy as np
import pytest

import fastloss as fl
from fastloss.evaluation import DataError, evaluate_files
from fastloss.evaluation.source import Want, open_source
from tests.test_formats import N, tensors_of


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", "|i1", "<i8", "|u1"])
def test_safetensors_dtypes_and_rows(tmp_path, dtype):
    one, two = np.arange(N).astype(dtype) % 7, (np.arange(3 * N) % 9).reshape(N, 3).astype(dtype)
    (tmp_path / "t.safetensors").write_bytes(tensors_of({"a": one, "b": two, "c": two.reshape(3, N, 1)}))
    source = open_source(tmp_path / "t.safetensors")
    assert (source.column("a").width, source.column("b").width, source.rows) == (None, 3, N)
    found = [[np.array(a) for a in c.arrays] for c in source.chunks([Want("", "a"), Want("", "b", width=3)], 100)]
    assert found[0][1].dtype == dtype
    assert np.array_equal(np.concatenate([a for a, _ in found]), one)
    assert np.array_equal(np.concatenate([b for _, b in found]), two)
    with pytest.raises(DataError, match="must be 1-D"):
        source.column("c")


def test_safetensors_of_bfloat16(tmp_path):
    rng = np.random.default_rng(3)
    scores, labels = rng.normal(size=(N, 5)).astype(ml_dtypes.bfloat16), rng.integers(0, 5, N)
    content = tensors_of({"y": labels, "p": scores.view(np.uint16)}, kinds={"p": "BF16"})
    (tmp_path / "t.safetensors").write_bytes(content)
    assert evaluate_files(tmp_path / "t.safetensors", "cross_entropy", chunk_rows=50)["cross_entropy"] == fl.cross_entropy(labels, scores)


def header_bytes(entries, data=bytes(32), length=None):
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(kind="F64", shape=(4,), place=(0, 32)):
    return {"0": {"dtype": kind, "shape": list(shape), "data_offsets": list(place)}}


HOSTILE = {
    "short": (b"\x08\0\0", "truncated"),
    "text": (b"y,p\n1,0.5\n1,0.5\n", "truncated"),
    "header beyond the file": (header_bytes(entry(), length=2**40), "truncated"),
    "header beyond 64 bits": (header_bytes(entry(), length=2**64 - 1), "truncated"),
    "no JSON": (header_bytes(b"{'0': 1}"), "no JSON"),
    "deep": (header_bytes(b"[" * 100_000), "no JSON"),
    "a list": (header_bytes([1]), "needs dtype, shape and data_offsets"),
    "twice": (header_bytes(b'{"a": {}, "a": {}}'), "comes twice"),
    "cut data": (header_bytes(entry(), bytes(31)), "do not agree"),
    "more data": (header_bytes(entry(), bytes(33)), "do not fill the file"),
    "a terabyte": (header_bytes(entry(shape=[2**37])), "do not agree"),
    "overflow": (header_bytes(entry(shape=[2**61, 2**61])), "do not agree"),
    "negative": (header_bytes(entry(shape=[-4])), "needs dtype"),
    "backwards": (header_bytes(entry(place=[32, 0])), "do not agree"),
    "overlap": (header_bytes(entry() | {"1": entry()["0"]}), "overlap"),
    "fractional": (header_bytes(entry(shape=[4.0])), "needs dtype"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_safetensors(tmp_path, case):
    content, message = HOSTILE[case]
    (tmp_path / "t.safetensors").write_bytes(content)
    with pytest.raises(DataError, match=message):
        open_source(tmp_path / "t.safetensors")


def test_safetensors_cut_while_it_is_read(tmp_path):
    (tmp_path / "t.safetensors").write_bytes(tensors_of({"0": np.zeros(1000)}))
    source = open_source(tmp_path / "t.safetensors")
    source.column("0")
    os.truncate(tmp_path / "t.safetensors", source.start + 8 * 500)
    with pytest.raises(DataError, match="row 400: .*was cut while it was read"):
        list(source.chunks([Want("", "0")], 200))
