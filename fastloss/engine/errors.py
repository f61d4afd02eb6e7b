"""What is said when a value is not allowed: which argument, what is allowed, what was found and where, and the remedy."""


class SettingError(ValueError):
    """An environment variable of ours holds what it cannot hold."""


class InputError(ValueError):
    """A value outside what a loss allows.

    loss      the loss's name, or None if any loss refuses it
    argument  "y_true", "y_pred" or "sample_weight"; "loss" if nan="raise" and the loss of a sample is NaN
    allowed   what it must be, in words
    value     what was found
    index     where, in the arrays of this call: an int, or a tuple of int for arrays of several dimensions
    remedy    what to do, or ""
    """

    def __init__(self, loss, argument, allowed, value, index, remedy=""):
        self.loss, self.argument, self.allowed, self.value, self.index, self.remedy = loss, argument, allowed, value, index, remedy
        super().__init__(loss, argument, allowed, value, index, remedy)

    def text(self, place):
        """The message with another wording of the place, a file and row for instance."""
        of = f" of `{self.loss}`" if self.loss else ""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"`{self.argument}`{of} must be {self.allowed}, got {self.value!r} {place}{remedy}"

    def __str__(self):
        return self.text(f"at index {self.index}")
