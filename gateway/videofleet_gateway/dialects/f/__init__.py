"""F: the job interface of FindFace video-manager."""

from videofleet_gateway.dialects.f.app import create_app

__all__ = ["create_app"]
