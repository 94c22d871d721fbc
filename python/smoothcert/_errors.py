"""The exceptions: one line each, that says what is wrong, where, and what to do."""


class Error(RuntimeError):
    """A failure while running: files, models, memory."""


class UsageError(Error, ValueError):
    """Asked for something that makes no sense: names, ranges, shapes."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C. What was finished is stored where a store was given."""
