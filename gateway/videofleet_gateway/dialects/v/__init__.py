"""V: the hosted video API with server-sent events."""

from videofleet_gateway.dialects.v.app import create_app
from videofleet_gateway.dialects.v.errors import render

__all__ = ["create_app", "render"]
