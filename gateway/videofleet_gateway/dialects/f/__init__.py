"""F: the job interface of FindFace video-manager."""

from videofleet_gateway.dialects.f.app import create_app
from videofleet_gateway.dialects.f.errors import render

__all__ = ["create_app", "render"]
