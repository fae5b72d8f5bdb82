"""What FFmpeg is told when a source is opened: allow-lists, timeouts, and the address with credentials."""

from urllib.parse import quote, unquote, urlsplit

from videofleet_worker.decode.messages import OpenRequest

# What an address, a playlist or a redirect may lead to. `file` is in none of the network lists, so that no playlist
# can name a file of the worker; `crypto` and `data` are how HLS names encrypted segments and inline keys.
_PROTOCOLS = {
    "rtsp": "rtp,rtcp,udp,tcp,srtp",
    "rtsps": "rtp,rtcp,udp,tcp,tls,srtp",
    "http": "http,https,tcp,tls,crypto,data",
    "https": "http,https,tcp,tls,crypto,data",
    "file": "file",
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
    # No hls: a playlist on the disk could name any other file of the disk.
    "file": _CONTAINERS,
}

# How much of a live stream is looked at to find out what it is. FFmpeg takes the whole of it whenever the rate is not
# in the stream's head, and the first picture waits that long.
_LIVE_PROBE_MICROSECONDS = 200_000
_UDP_BUFFER_BYTES = 2 * 1024 * 1024
# A file is read no faster than it is analysed, and a server loses patience with whoever reads slowly (nginx after 60
# seconds without room for a byte). Where it serves ranges, reading goes on at the same byte: at once, then after 1 and
# 3 seconds.
_RESUMED = {"reconnect": "1", "reconnect_delay_max": "3", "reconnect_max_retries": "3"}


def scheme_of(url: str) -> str:
    """The scheme in lower case."""
    return urlsplit(url).scheme.lower()


def address(request: OpenRequest) -> str:
    """What FFmpeg is to open. Holds the credentials: never log it, never put it into an error."""
    scheme = scheme_of(request.url)
    if scheme == "file":
        return f"file:{unquote(urlsplit(request.url).path)}"
    if request.username is None and request.password is None:
        return request.url
    user = quote(request.username or "", safe="")
    password = quote(request.password or "", safe="")
    before, _, after = request.url.partition("://")
    return f"{before}://{user}:{password}@{after}"


def open_options(request: OpenRequest) -> dict[str, str]:
    """FFmpeg's options for the request. Times in microseconds, as FFmpeg wants them."""
    scheme = scheme_of(request.url)
    options = {"protocol_whitelist": _PROTOCOLS[scheme], "format_whitelist": _FORMATS[scheme]}
    microseconds = str(int(request.io_timeout * 1_000_000))
    if scheme in ("rtsp", "rtsps"):
        options |= _rtsp_options(request.transport) | {"timeout": microseconds}
    elif scheme != "file":
        options |= _RESUMED | {"rw_timeout": microseconds}
    if scheme in ("https", "rtsps", "http"):
        options |= _tls_options(request)
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


def _tls_options(request: OpenRequest) -> dict[str, str]:
    if not request.verify_tls:
        return {"tls_verify": "0"}
    return {"tls_verify": "1"} | ({"ca_file": request.ca_file} if request.ca_file else {})
