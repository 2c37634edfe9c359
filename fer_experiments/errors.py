"""The errors that a user can meet."""


class ConfigError(ValueError):
    """What the user asked for can't be run. The message names the key, the value, what is allowed and the remedy."""


class NonFiniteError(RuntimeError):
    """A loss or a weight became NaN or infinite in training."""


class StorageError(OSError):
    """The disk refuses a file. The message names the file and the remedy; everything that is finished is kept."""
