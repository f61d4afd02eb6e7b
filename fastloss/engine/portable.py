"""Bytes that outlive a process, for files and other machines: a line of magic and CRC-32, then JSON. Whoever reads them trusts nobody.

Integers of any size are text, "mantissa p shift" in hexadecimal and decimal: exact sums are in units of 2**-1088, and end in many zeros.
"""

import datetime
import json
import math
import zlib
from contextlib import contextmanager

from fastloss.engine.run import Tally

WIDEST = 2400  # bits of a sum: 2**63 of the largest double, in units of 2**-1088, take 2,175
MOST = 2**63


def sealed(magic, fields):
    """The bytes of what JSON can hold."""
    text = json.dumps(fields).encode()
    return magic + b"%08x\n" % zlib.crc32(text) + text


def unsealed(magic, data, what):
    """What ``sealed`` wrote, of bytes; ValueError if they are anything else. ``what``: its name, as "fastloss state"."""
    if not isinstance(data, bytes | bytearray | memoryview):
        raise TypeError(f"a {what} is read from bytes, got {type(data).__name__}")
    head, _, text = bytes(data).partition(b"\n")
    if not head.startswith(magic):
        raise ValueError(f"not a {what} (or of another version): it should begin with {magic!r}, got {bytes(data)[:20]!r}")
    if head != magic + b"%08x" % zlib.crc32(text):
        raise ValueError(f"this {what} is damaged: its bytes are not those that were written")
    with reading(what):
        return json.loads(text)


@contextmanager
def reading(what):
    """What goes wrong inside is said to be the fault of the bytes."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"this {what} is damaged: {type(error).__name__}: {error}") from error


def whole(value):
    """An integer of any size, as text."""
    shift = (value & -value).bit_length() - 1 if value else 0
    return f"{value >> shift:x}p{shift}"


def read_whole(text):
    mantissa, _, shift = text.partition("p")
    if len(mantissa) > WIDEST // 4 + 2 or not 0 <= int(shift) <= WIDEST:
        raise ValueError("a sum is too large")
    return int(mantissa, 16) << int(shift)


def count(value):
    """A count that was read: an integer from 0."""
    if type(value) is not int or not 0 <= value < MOST:
        raise ValueError(f"{value!r} is no count")
    return value


def positive(value):
    """A sum of weights that was read."""
    found = read_whole(value)
    if found < 0:
        raise ValueError("a sum of weights is negative")
    return found


def flag(value):
    if type(value) is not bool:
        raise ValueError(f"{value!r} is neither true nor false")
    return value


def number(value):
    """A float, NaN and infinities too, as text."""
    return value.hex()


def read_number(text, special=True):
    value = float.fromhex(text)
    if not special and math.isnan(value):
        raise ValueError("NaN where a number should be")
    return value


def tally_fields(tally):
    """A tally as JSON."""
    return [whole(tally.total), whole(tally.weight), tally.n_nan, tally.n_positive, tally.n_negative, tally.n]


def read_tally(found):
    total, weight, *counts = found
    tally = Tally()
    tally.total, tally.weight = read_whole(total), positive(weight)
    tally.n_nan, tally.n_positive, tally.n_negative, tally.n = map(count, counts)
    if tally.n_nan + tally.n_positive + tally.n_negative > tally.n:
        raise ValueError("more NaN and infinities than rows")
    return tally


def value_fields(value):
    """A value of a segment: text, an integer, a bool, None, a float, a date or a time."""
    if value is None or type(value) in (bool, int, str):
        return value
    for name, kind in KINDS.items():
        if type(value) is kind and value == value:  # a NaN that was read is not the NaN that was written
            return [name, value.hex() if kind is float else value.isoformat()]
    raise TypeError(f"segments that are kept are of text, integers, bools, floats, dates and times, not {value!r}")


def read_value(found):
    if not isinstance(found, list):
        if found is None or type(found) in (bool, int, str):
            return found
        raise ValueError(f"{found!r} is no value of a segment")
    name, text = found
    kind = KINDS[name]
    return read_number(text, special=False) if kind is float else kind.fromisoformat(text)


KINDS = {"time": datetime.datetime, "date": datetime.date, "float": float}
