"""The one error that ends a command with a sentence instead of a traceback."""


class LocalClusterError(Exception):
    """What went wrong, with the value at fault and what to do; shown to the user as it is."""
