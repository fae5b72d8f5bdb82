"""Times as the contract writes them."""

from videofleet_api.times import format_time, parse_time

__all__ = ["format_time", "parse_time"]
