"""What can go wrong with files, by whose fault it is. Every message says what, where, and what to do."""


class SourceError(ValueError):
    """Something asked for is not there or cannot serve: a file, a format, a column, a label. Nothing is wrong with the data."""


class RequestError(SourceError):
    """What is asked for cannot be answered, whatever the file: keep_going does not help."""


class DataError(ValueError):
    """The data is bad: truncated or foreign files, missing values, values outside a loss's domain.

    path    the file, or None if the data set as a whole is meant
    row     row within that file, counted from 0, or None
    column  name of the column, or None
    """

    def __init__(self, message, path=None, row=None, column=None):
        place = path if row is None else f"{path}, row {row}"
        super().__init__(f"{place}: {message}" if path else message)
        self.path, self.row, self.column = path, row, column


class MissingLibraryError(ImportError):
    """An optional library is not installed; the message says which command installs it.

    extra   the extra of fastloss that brings it
    """

    def __init__(self, library, task, extra="files"):
        absent = "which are not installed" if " and " in library else "which is not installed"
        super().__init__(f'{task} needs {library}, {absent}: pip install "fastloss[{extra}]"', name=library)
        self.given = library, task, extra

    def __reduce__(self):  # a worker's error is told where it was asked for
        return type(self), self.given
