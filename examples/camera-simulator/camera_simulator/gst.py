"""GStreamer with the versions of its libraries that this program wants, initialised once."""

from __future__ import annotations

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")

from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402 - the versions must be chosen before the import

Gst.init(None)

# Everything that this program or the RTSP server builds a pipeline of, by the Debian package that has it.
_ELEMENTS = {
    "gstreamer1.0-plugins-base": ("appsink", "appsrc", "giostreamsink"),
    "gstreamer1.0-plugins-good": ("multiudpsink", "qtdemux", "rtpbin", "rtph264pay", "splitmuxsink", "udpsrc"),
    "gstreamer1.0-plugins-bad": ("h264parse", "hlssink2", "mpegtsmux"),
}

__all__ = ["GLib", "Gst", "GstRtsp", "GstRtspServer", "MissingElementError", "require_elements"]


class MissingElementError(Exception):
    """A part of GStreamer is not installed; the message names it and its package."""


def require_elements() -> None:
    """Raises MissingElementError where GStreamer lacks a plugin; otherwise that would show with the first viewer."""
    for package, elements in _ELEMENTS.items():
        for element in elements:
            if Gst.ElementFactory.make(element, None) is None:
                raise MissingElementError(f"GStreamer has no element {element}; install the package {package}")
