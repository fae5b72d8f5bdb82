"""What a decoder is asked to open, where a test cares for little of it."""

from videofleet_worker.decode.messages import OpenRequest


def open_request(url: str = "file:///clip", **wanted: object) -> OpenRequest:
    """All frames of a source for a small model, but for what is `wanted`."""
    usual: dict[str, object] = {
        "url": url,
        "transport": "auto",
        "kind": "auto",
        "sampling_mode": "all",
        "sampling_value": None,
        "model_width": 32,
        "model_height": 24,
        "slots": 4,
        "max_frames": None,
        "resume_after_frame": None,
        "memory": 2**30,
        "frame_memory": 2**28,
        "io_timeout": 10.0,
        "verify_tls": True,
        "ca_file": None,
    }
    return OpenRequest.model_validate(usual | wanted)
