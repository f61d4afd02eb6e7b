"""Which rows of which files were counted: no row twice, and what is missing by its name."""


class Covered:
    """ranges: {number of a file: [[first, stop], ...]} in order, none touching; ends: {number: rows} of files whose end is known; left_out:
    {number: [error, is the data bad]} of files of which nothing is counted; total: rows in all."""

    def __init__(self):
        self.ranges, self.ends, self.left_out, self.total = {}, {}, {}, 0

    def add(self, number, first, stop):
        """Rows ``first`` to ``stop`` of a file; Twice if some were counted before."""
        held = self.ranges.setdefault(number, [])
        self.total += stop - first
        if held and held[-1][1] == first:  # as a run goes on
            held[-1][1] = stop
            return
        if first < stop:
            for a, b in held:
                if a < stop and first < b:
                    raise Twice(number, max(a, first), min(b, stop))
            held.append([first, stop])
            held.sort()
            self.ranges[number] = joined(held)

    def rows(self, number):
        return sum(stop - first for first, stop in self.ranges.get(number, ()))

    def reached(self, number, first):
        """The first row from ``first`` on that is not counted."""
        return next((stop for a, stop in self.ranges.get(number, ()) if a <= first < stop), first)

    def has(self, number, first, stop):
        """Whether rows ``first`` to ``stop`` (None: the end) are counted, or left out."""
        if number in self.left_out:
            return True
        stop = self.ends.get(number) if stop is None else stop
        return stop is not None and (first >= stop or self.reached(number, first) >= stop) and (first < stop or number in self.ends)

    def merge(self, other):
        """Add what another has; Twice if both have a row, or if they do not agree on a file."""
        for number in sorted({*other.ranges, *other.ends, *other.left_out}):
            mine, theirs = (number in one.ranges or number in one.ends or number in one.left_out for one in (self, other))
            if mine and theirs and (number in self.left_out or number in other.left_out or self.empty(number, other)):
                raise Twice(number, 0, None)
            for first, stop in other.ranges.get(number, ()):
                self.add(number, first, stop)
        self.ends |= other.ends
        self.left_out |= other.left_out

    def empty(self, number, other):
        """Whether it is a file without rows that both have read."""
        return self.ends.get(number) == 0 and other.ends.get(number) == 0

    def missing(self, files):
        """[(number, first, stop)] of what is not counted of files that have so many rows each, None where that is not known before they
        are read; stop is None where it is the end."""
        found = []
        for number, rows in enumerate(files):
            if number in self.left_out:
                continue
            end, at = self.ends.get(number, rows), 0
            for first, stop in self.ranges.get(number, ()):
                if first > at:
                    found.append((number, at, first))
                at = stop
            if end is None or at < end or (end == 0 and number not in self.ends):
                found.append((number, at, end or None))
        return found

    def fields(self):
        return {name: [[number, value] for number, value in sorted(getattr(self, name).items())] for name in ("ranges", "ends", "left_out")}

    def take(self, fields, files):
        """Hold what ``fields`` told, of files of so many rows, or None, each. ValueError if it is no such thing."""
        for name in ("ranges", "ends", "left_out"):
            found = dict(fields[name])
            if len(found) < len(fields[name]) or not all(type(number) is int and 0 <= number < len(files) for number in found):
                raise ValueError("it is of other files")
            setattr(self, name, found)
        self.total = sum(map(self.rows, self.ranges))
        for number, ranges in self.ranges.items():
            ends, end = [-1, *(place for pair in ranges for place in pair)], self.ends.get(number, files[number])
            if any(type(b) is not int or b <= a for a, b in zip(ends, ends[1:], strict=False)) or any(len(pair) != 2 for pair in ranges):
                raise ValueError("rows are out of order")
            if end is not None and ends[-1] > end:
                raise ValueError("rows are beyond the end of a file")
        for number, rows in self.ends.items():
            if type(rows) is not int or rows < 0 or files[number] not in (None, rows):
                raise ValueError("a file has another number of rows")
        for error, bad in self.left_out.values():
            if not isinstance(error, str) or not isinstance(bad, bool):
                raise ValueError("it does not say why a file was left out")


class Twice(Exception):  # noqa: N818 - told to the user by name
    """Rows that are counted twice. stop is None: the whole file."""

    def __init__(self, number, first, stop):
        super().__init__(number, first, stop)
        self.number, self.first, self.stop = number, first, stop


def joined(ranges):
    """Ranges in order, those that touch as one."""
    found = []
    for first, stop in ranges:
        if found and found[-1][1] == first:
            found[-1][1] = stop
        else:
            found.append([first, stop])
    return found


def text_of(path, first, stop):
    """Rows of a file, in messages."""
    return path if stop is None and first == 0 else f"rows {first} {'and on' if stop is None else f'to {stop - 1}'} of {path}"
