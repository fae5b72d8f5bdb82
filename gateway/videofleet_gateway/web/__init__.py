"""The page at /ui, for people: tasks with live results, streams with their phases and reasons."""

from videofleet_gateway.web.app import running

__all__ = ["running"]
