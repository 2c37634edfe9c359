"""The errors that a user can meet."""


class ConfigError(ValueError):
    """What a user typed can't be run; the message names the key, the value, what is allowed and the remedy."""


class NonFiniteError(RuntimeError):
    """Training broke down: a loss or a weight is NaN or infinite."""


class StorageError(OSError):
    """The disk refuses a file; the message names it and the remedy. Whatever the job has finished is still there."""
