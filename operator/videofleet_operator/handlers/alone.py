"""kopf, imported without the clients of Kubernetes that it would look for.

Where `kubernetes` is installed kopf imports all of it to know its classes, which takes half a second of each start.
It is given no object of them here.
"""

import sys

_CLIENT = "kubernetes"

if _CLIENT in sys.modules:
    import kopf
else:
    # What is None there counts as not installed (importlib).
    sys.modules[_CLIENT] = None  # type: ignore[assignment]  # typeshed knows modules only
    try:
        import kopf
    finally:
        del sys.modules[_CLIENT]

__all__ = ["kopf"]
