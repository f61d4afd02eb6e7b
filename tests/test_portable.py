"""Analyses and Calibrations as bytes: the same for the same samples, read back to the bit; damaged and forged ones are refused."""

import datetime
import json
import math
import zlib

import numpy as np
import pytest

import fastloss as fl
from fastloss.engine.portable import read_value, read_whole, value_fields, whole

N = 2000
KEYS = [("a\udcff", 1, None), ("b", None, True), (None, -(2**70), False), ("a", datetime.date(2024, 2, 29), 0.1),
        ("", datetime.datetime(2024, 2, 29, 1, 2, 3, 4), math.inf)]  # fmt: skip
LOSSES = ["log_loss", "brier", "dice"]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    p = rng.random(N).astype(np.float32)
    y = (rng.random(N) < p).astype(np.int8)
    p[5], p[6], y[6] = np.nan, 1, 0  # a NaN, and an infinite loss
    w = np.where(rng.random(N) < 0.1, 0, rng.random(N) * 10.0 ** rng.integers(-300, 290, N))
    return y, p, w, rng.integers(0, len(KEYS), N).astype(np.intp)


def new(nan="propagate", losses=LOSSES):
    state = fl.State(losses, nan=nan)
    single = not any(fl.get(loss).definition.terms for loss in losses)
    options = {"spread": True, "worst": 7, "quantiles": (0, 0.5, 0.123)} if single else {}
    return state, fl.Analysis(state, segments=9, bootstrap=6, seed=2**64 - 1, **options), fl.Calibration(7, nan=nan)


def fed(counted, data, start, stop, weighted):
    state, analysis, calibration = counted
    y, p, w, codes = (part[start:stop] for part in data)
    for begin in range(0, stop - start, 333):
        here = slice(begin, begin + 333)
        weight = w[here] if weighted else None
        state.update(y[here], p[here], weight)
        analysis.update(y[here], p[here], weight, keys=KEYS, codes=codes[here], file=2, row=start + begin)
        calibration.update(y[here], p[here], weight)
    return counted


@pytest.mark.parametrize("nan", ["propagate", "skip"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("losses", [LOSSES, LOSSES[:2]])
def test_read_back_merged_and_gone_on_with(data, nan, weighted, losses):
    _, analysis, calibration = fed(new(nan, losses), data, 0, N, weighted)
    expected = analysis.to_bytes(), calibration.to_bytes()
    shown = [repr(getattr(analysis, name)) for name in ("segments", "spread", "worst", "bootstrap")], repr(calibration.compute())
    parts = [fed(new(nan, losses), data, *ends, weighted) for ends in ((0, 700), (700, 701), (701, N))]
    for order in ((0, 1, 2), (2, 0, 1)):
        one, *others = [(fl.Analysis.from_bytes(parts[i][1].to_bytes()), fl.Calibration.from_bytes(parts[i][2].to_bytes())) for i in order]
        for other in others:
            one = one[0].merge(other[0]), one[1].merge(other[1])
        assert (one[0].to_bytes(), one[1].to_bytes()) == expected
        assert ([repr(getattr(one[0], name)) for name in ("segments", "spread", "worst", "bootstrap")], repr(one[1].compute())) == shown
    state, analysis, calibration = fed(new(nan, losses), data, 0, 900, weighted)
    state = fl.State.from_bytes(state.to_bytes())
    found = state, fl.Analysis.from_bytes(analysis.to_bytes(), state), fl.Calibration.from_bytes(calibration.to_bytes())
    fed(found, data, 900, N, weighted)
    assert (found[1].to_bytes(), found[2].to_bytes()) == expected


def test_rows_of_scores():
    rng = np.random.default_rng(3)
    z, y = rng.standard_normal((400, 5)).astype(np.float32), rng.integers(0, 5, 400)

    def counted(*ends):
        state = fl.State(["softmax_cross_entropy:ignore_index=3"])
        analysis, calibration = fl.Analysis(state, spread=True, worst=3), fl.Calibration(from_logits=True, ignore_index=3)
        for start, stop in ends:
            state.update(y[start:stop], z[start:stop])
            analysis.update(y[start:stop], z[start:stop], row=start)
            calibration.update(y[start:stop], z[start:stop])
        return analysis, calibration

    expected = [one.to_bytes() for one in counted((0, 400))]
    parts = counted((0, 10)), counted((10, 300), (300, 400))
    read = [[type(one).from_bytes(one.to_bytes()) for one in part] for part in parts]
    assert [one.merge(other).to_bytes() for one, other in zip(*read, strict=True)] == expected
    assert len(read[0][0].worst["softmax_cross_entropy:ignore_index=3"][0].prediction) == 5


def test_empty_ones():
    state, analysis, calibration = new(losses=LOSSES[:2])
    assert fl.Analysis.from_bytes(analysis.to_bytes(), state).to_bytes() == analysis.to_bytes()
    assert fl.Calibration.from_bytes(calibration.to_bytes()).to_bytes() == calibration.to_bytes()


@pytest.fixture(scope="module")
def some(data):
    return fed(new(losses=LOSSES[:2]), data, 0, 500, True)


def test_every_truncation_is_refused(some):
    for one in (some[1], some[2]):
        data = one.to_bytes()
        for cut in range(0, len(data), 1 if len(data) < 5000 else 13):
            with pytest.raises(ValueError, match="not a fastloss|damaged"):
                type(one).from_bytes(data[:cut])
            with pytest.raises(ValueError, match="not a fastloss|damaged"):
                type(one).from_bytes(data[:cut] + bytes([data[cut] ^ 1]) + data[cut + 1 :])
        for strange in ("text", None, 3):
            with pytest.raises(TypeError, match="is read from bytes"):
                type(one).from_bytes(strange)


def rewritten(one, change):
    head, _, text = one.to_bytes().partition(b"\n")
    fields = json.loads(text)
    change(fields)
    text = json.dumps(fields).encode()
    return head[:-8] + b"%08x\n" % zlib.crc32(text) + text


def put(*path, value):
    def change(fields):
        for name in path[:-1]:
            fields = fields[name]
        fields[path[-1]] = value

    return change


SPREAD, BOOTSTRAP, WORST, SEGMENTS = (("parts", name) for name in ("spread", "bootstrap", "worst", "segments"))
FORGED = [
    put("losses", value=["os.system"]), put("losses", value=3), put("names", value=["a", "a"]), put("nan", value="no"),
    put("asked", value={}), put("asked", "bootstrap", value=10**15), put("asked", "worst", value=2), put("asked", "strange", value=1),
    put("asked", "quantiles", value=[2]), put("asked", "segments", value=1), put("parts", value={}),
    put(*SPREAD, 0, "n", value=-1), put(*SPREAD, 0, "n", value=1), put(*SPREAD, 0, "n", value=1.0), put(*SPREAD, 0, "n", value=2**70),
    put(*SPREAD, 0, "min", value="nan"), put(*SPREAD, 0, "min", value="0x1p900"), put(*SPREAD, 0, "max", value=3),
    put(*SPREAD, 0, "buckets", 0, value=[-1, 1, 0, "0p0"]), put(*SPREAD, 0, "buckets", 0, value=[2**40, 1, 0, "0p0"]),
    put(*SPREAD, 0, "buckets", 1, 1, value=0), put(*SPREAD, 0, "buckets", 1, 2, value=10**6),
    put(*SPREAD, 0, "buckets", 1, 3, value="-1p0"),
    put(*SPREAD, 0, "buckets", value=[]), put(*SPREAD, 0, "sums", value=["0p0"]), put(*SPREAD, 0, "sums", 0, value="1p999999999999"),
    put(*SPREAD, 0, "sums", 0, value="f" * 10_000 + "p0"), put(*SPREAD, value=[]),
    put(*BOOTSTRAP, "terms", 0, value=["0p0"]), put(*BOOTSTRAP, "weights", 1, value=["0p0"]),
    put(*BOOTSTRAP, "weights", 0, 0, value="-1p0"),
    put(*BOOTSTRAP, "unknown", value=[]), put(*BOOTSTRAP, "unknown", value=[1, 0]),
    put(*WORST, 0, 0, 0, value="nan"), put(*WORST, 0, 0, 0, value="-0x1p0"), put(*WORST, 0, 0, 1, value=-1),
    put(*WORST, 0, 0, 2, value=None),
    put(*WORST, 0, 0, 3, value={}), put(*WORST, 0, 0, 5, value="-0x1p0"), put(*WORST, 0, 0, value=[]),
    put(*SEGMENTS, "keys", 0, value=["a"]), put(*SEGMENTS, "keys", 0, 0, value=["pickle", "x"]), put(*SEGMENTS, "keys", 0, 0, value={}),
    put(*SEGMENTS, "keys", 0, 0, value=["float", "nan"]),
    put(*SEGMENTS, "keys", value=[]), put(*SEGMENTS, "weighted", value=1), put(*SEGMENTS, "sums", 0, 0, value=["0p0", "-1p0", 0, 0, 0, 5]),
    put(*SEGMENTS, "sums", 0, 0, value=["0p0", "0p0", 3, 3, 3, 5]), put(*SEGMENTS, "sums", 0, 0, value=["0p0", "0p0", 0, 0, 0, 0]),
    put(*SEGMENTS, "sums", value=[]), put(*SEGMENTS, "keys", 0, 0, value=1.5),
]  # fmt: skip


@pytest.mark.parametrize("change", FORGED)
def test_forged_analyses(some, change):
    with pytest.raises(ValueError, match="this fastloss analysis is damaged"):
        fl.Analysis.from_bytes(rewritten(some[1], change))


@pytest.mark.parametrize("change", [
    put("bins", value=10**9), put("bins", value=3), put("bins", value=True), put("from_logits", value=1), put("nan", value="no"),
    put("ignore_index", value="x"), put("n_nan", value=-1), put("n_nan", value=10**6), put("n_ignored", value=0.5), put("sums", value=[]),
    put("sums", 0, 3, value=["0p0", "0p0", 0, 0, 0, 4]), put("sums", 1, 0, value=[]),
])  # fmt: skip
def test_forged_calibrations(some, change):
    with pytest.raises(ValueError, match="this fastloss calibration is damaged"):
        fl.Calibration.from_bytes(rewritten(some[2], change))


def test_a_state_of_another_question(some):
    with pytest.raises(
        ValueError, match="of another question than the state: log_loss:clip=0.0, brier with nan='propagate', not brier with"
    ):
        fl.Analysis.from_bytes(some[1].to_bytes(), fl.State("brier"))
    with pytest.raises(ValueError, match="it should begin with b'fastloss-analysis-1 '"):
        fl.Analysis.from_bytes(some[0].to_bytes())


def test_integers_and_values():
    for value in (0, 1, -1, 12, -12, 2**2100 * 3, -(2**2100) * 3, 2**1088):
        assert read_whole(whole(value)) == value
    for value in (None, True, 3, -(2**80), "text", "1p3", "\udcff", 0.1, math.inf, datetime.date.max, datetime.datetime.max):
        found = read_value(json.loads(json.dumps(value_fields(value))))
        assert found == value and type(found) is type(value)
    for value in (b"bytes", math.nan, (1,)):
        analysis = new(losses=["brier"])[1]
        analysis.update(np.ones(1), np.full(1, 0.5), keys=[(value,)], codes=np.zeros(1, np.intp))
        with pytest.raises(TypeError, match="segments that are kept are of text, .* dates and times, not"):
            analysis.to_bytes()
