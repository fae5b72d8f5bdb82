"""What the tool refuses."""


class LicenceError(Exception):
    """Something that was given cannot be used; the message names it and says what would be right."""
