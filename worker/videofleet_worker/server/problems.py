"""What is wrong with a document, in words."""

from pydantic import ValidationError


def problems(error: ValidationError) -> str:
    """Where and what, never the value: it may be a password."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(f"{'.'.join(str(part) for part in one['loc']) or 'body'}: {one['msg']}" for one in found)
