"""Patterns of addresses, said to polars as it takes them.

polars (2.1) makes a regular expression of a pattern from the folder of its first wildcard on, and replaces ``*`` and ``.`` alone. So what
else means something there is put into classes; otherwise ``a+b*.csv`` would be all that begins with a, and ``part?.csv`` part.csv, too.
"""

WILD = "*?["


def is_pattern(path):
    return any(sign in path for sign in WILD)


def pattern(path):
    """What polars takes for a pattern as the disk's files have them: ``*``, ``**``, ``?``, ``[ab]``, ``[!ab]``."""
    head, rest = parted(path)
    found, at = [head], 0
    while at < len(rest):
        end = rest.find("]", at + 2 + (rest[at + 1 : at + 2] == "!")) if rest[at] == "[" else -1
        if end > 0:
            within = rest[at + 1 : end]
            found.append("[" + "^" * within.startswith("!") + "".join(map(inside, within.removeprefix("!"))) + "]")
            at = end
        else:
            found.append({"*": "*", "?": "[^/]"}.get(rest[at]) or literal(rest[at]))
        at += 1
    return "".join(found)


def itself(path):
    """What polars takes for the one file of this very name, where it takes names for patterns."""
    head, rest = parted(path)
    return head + "".join(map(literal, rest))


def parted(path):
    """(the folder before the first wildcard, which polars takes as it is; the rest)"""
    first = min((path.find(sign) for sign in WILD if sign in path), default=len(path))
    cut = path.rfind("/", 0, first) + 1
    return path[:cut], path[cut:]


def literal(sign):
    return f"[{inside(sign)}]" if sign in "*?[]+(){}|^$\\" else sign


def inside(sign):
    """A sign within a class. A ``*`` is replaced there, too."""
    return r"\x2A" if sign == "*" else "\\" + sign if sign in "[]\\^&~" else sign
