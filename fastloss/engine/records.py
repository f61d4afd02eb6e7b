"""What results are made of: a few named fields, and nothing that grows with their number."""


class Record:
    """Fields in the order of a subclass's ``__slots__``; shown by their names."""

    __slots__ = ()

    def __init__(self, *fields):
        for name, value in zip(self.__slots__, fields, strict=True):
            setattr(self, name, value)

    def __repr__(self):
        return f"{type(self).__name__}(" + ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__) + ")"
