"""What FFmpeg is told when a source is opened: allow-lists and timeouts."""

from urllib.parse import urlsplit

from videofleet_worker.decode.messages import OpenRequest

# What an address, a playlist or a redirect may lead to. `file` is in none of the network lists, so that no playlist
# can name a file of the worker.
_PROTOCOLS = {
    # With rtsp itself FFmpeg would follow a redirect, and says where to; it gets no second connection.
    "rtsp": "rtsp,rtp,rtcp,udp,tcp,srtp",
    "rtsps": "rtsp,rtp,rtcp,udp,tcp,srtp",
    "http": "http,https",
    "https": "http,https",
    "rtmp": "rtmp,tcp",
    "rtmps": "rtmp,tcp",
    "udp": "",
    "file": "fd",
}

# Containers of video. FFmpeg knows some 350 more, among them some that read a text file as moving pictures and some
# that open other files.
_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,flv,live_flv,asf,ogg,ivf,wtv,mxf,nut,"
    "h264,hevc,vvc,av1,obu,mjpeg,mpjpeg,dhav"
)
_FORMATS = {
    "rtsp": f"rtsp,{_CONTAINERS}",
    "rtsps": f"rtsp,{_CONTAINERS}",
    "http": f"hls,{_CONTAINERS}",
    "https": f"hls,{_CONTAINERS}",
    "rtmp": "flv,live_flv",
    "rtmps": "flv,live_flv",
    "udp": "mpegts",
    # No hls: a playlist on the disk could name any other file of the disk.
    "file": _CONTAINERS,
}

# How much of a live stream is looked at to find out what it is. FFmpeg takes the whole of it whenever the rate is not
# in the stream's head, and the first picture waits that long.
_LIVE_PROBE_MICROSECONDS = 200_000
_UDP_BUFFER_BYTES = 2 * 1024 * 1024
# FFmpeg's own client for playlists keeps connections that are not there when bytes come by io_open, and aborts.
# What a playlist names is told by its content, as anywhere: servers give segments any names.
_PLAYLISTS = {
    "http_persistent": "0",
    "http_multiple": "0",
    "extension_picky": "0",
    "allowed_extensions": "ALL",
    "allowed_segment_extensions": "ALL",
}


def scheme_of(url: str) -> str:
    """The scheme in lower case."""
    return urlsplit(url).scheme.lower()


def open_options(request: OpenRequest) -> dict[str, str]:
    """FFmpeg's options for the request. Times in microseconds, as FFmpeg wants them."""
    scheme = scheme_of(request.url)
    options = {"protocol_whitelist": _PROTOCOLS[scheme], "format_whitelist": _FORMATS[scheme]}
    microseconds = str(int(request.io_timeout * 1_000_000))
    if scheme in ("rtsp", "rtsps"):
        # The secure layer is not FFmpeg's, and lies under the connection alone.
        transport = "tcp" if scheme == "rtsps" else request.transport
        options |= _rtsp_options(transport) | {"timeout": microseconds}
    elif scheme in ("rtmp", "rtmps"):
        options |= {"rtmp_live": "live", "rw_timeout": microseconds, "analyzeduration": str(_LIVE_PROBE_MICROSECONDS)}
    elif scheme in ("http", "https"):
        options |= _PLAYLISTS
    return options


def _rtsp_options(transport: str) -> dict[str, str]:
    options = {
        # Without this the sound is set up and delivered too, to be thrown away here.
        "allowed_media_types": "video",
        "analyzeduration": str(_LIVE_PROBE_MICROSECONDS),
        "buffer_size": str(_UDP_BUFFER_BYTES),
    }
    if transport == "auto":
        return options | {"rtsp_transport": "tcp+udp", "rtsp_flags": "prefer_tcp"}
    return options | {"rtsp_transport": transport}
