"""How a plan is cut: for shards of like size, or into pieces for the workers of an engine. The same plan is always cut alike."""

from itertools import pairwise

from fastloss.evaluation.part import Piece


def shares(files, n, whole=False):
    """[[Piece, ...], ...] of n shards. files: of a plan's document; whole: cut no file.

    Files lie on a line, as long as they have rows (or bytes, where some do not tell their rows), which is cut in n; a file that may not be
    cut, because it does not tell its rows, goes where its middle lies.
    """
    by_rows = all(entry["rows"] is not None for entry in files)
    sizes = [entry["rows"] if by_rows else sum(file["bytes"] for file in entry["files"]) for entry in files]
    sizes = sizes if any(sizes) else [1] * len(files)  # a store tells no sizes
    ends, found, start = [sum(sizes) * i // n for i in range(1, n)], [[] for _ in range(n)], 0

    def owner(place):
        return sum(end <= place for end in ends)

    for number, (entry, size) in enumerate(zip(files, sizes, strict=True)):
        rows = entry["rows"]
        cuts = [] if whole or not rows else [(end - start) * rows // size for end in ends if start < end < start + size]
        cuts = sorted({0, rows, *cuts}) if cuts else []
        if len(cuts) > 2:
            for first, stop in pairwise(cuts):
                found[owner(start + (first + stop) * size // (2 * rows))].append(Piece(number, first, stop - first))
        else:
            found[owner(start + size // 2) if size else min(owner(start), n - 1)].append(Piece(number))
        start += size
    return found


def cut(files, rows, whole=False):
    """[Piece] of at most ``rows`` rows each, of like size within a file; files that do not tell their rows are pieces as they are."""
    found = []
    for number, entry in enumerate(files):
        parts = 1 if whole or not entry["rows"] else -(-entry["rows"] // rows)
        cuts = [(entry["rows"] or 0) * i // parts for i in range(parts + 1)]
        found += [Piece(number)] if parts == 1 else [Piece(number, first, stop - first) for first, stop in pairwise(cuts)]
    return found
