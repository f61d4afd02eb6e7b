"""The project's targets, by section; see __main__.py. A section is a function of a Bench that yields Rows."""

from benchmarks.targets.rows import Bench, Row

__all__ = ["Bench", "Row"]
