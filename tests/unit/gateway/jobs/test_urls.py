"""What of a posted address is taken, and what of it may stand in a spec."""

import pytest

from videofleet_api.outputs import OutputPolicy
from videofleet_api.source import SourcePolicy
from videofleet_gateway.jobs.urls import Credentials, UrlError, UrlPolicy, split_credentials

LONG = "https://files.example/" + "a" * 2100
SIGNED = "https://bucket.example/clip.mp4?X-Amz-Signature=abc&X-Amz-Expires=60"


@pytest.mark.acceptance("X7")
@pytest.mark.parametrize(
    ("posted", "bare", "username", "password"),
    [
        ("rtsp://admin:pa55@cam.example/1", "rtsp://cam.example/1", "admin", "pa55"),
        ("rtsp://admin:p%40ss@cam.example:554/1", "rtsp://cam.example:554/1", "admin", "p@ss"),
        ("rtsp://admin:p@ss@cam.example/1", "rtsp://cam.example/1", "admin", "p@ss"),
        ("rtsp://admin:se/cr?e#t@cam.example/1", "rtsp://cam.example/1", "admin", "se/cr?e#t"),
        ("rtsp://admin@cam.example/1", "rtsp://cam.example/1", "admin", ""),
        ("rtsp://admin:x@[2001:db8::1]:554/1", "rtsp://[2001:db8::1]:554/1", "admin", "x"),
    ],
)
def test_user_and_password_are_taken_out(posted: str, bare: str, username: str, password: str) -> None:
    address = UrlPolicy().source(posted)
    assert (address.url, address.credentials, address.secret) == (bare, Credentials(username, password), False)


@pytest.mark.parametrize(
    "url",
    [
        "https://files.example/a@b.mp4",
        "https://files.example/a?mail=a@b",
        "rtsp://[2001:db8::1]:554/a@b",
        "test://pattern",
    ],
)
def test_an_at_sign_in_the_path_is_none_of_a_password(url: str) -> None:
    assert split_credentials(url) == (url, None)


def test_an_at_sign_that_can_be_read_in_two_ways_is_refused() -> None:
    with pytest.raises(UrlError, match="%40"):
        split_credentials("https://files.example:8080/a@b.mp4")


@pytest.mark.acceptance("X7")
@pytest.mark.parametrize("url", [SIGNED, LONG, "http://cam.example/video?user=a&pwd=b", "https://x.example/?sig=1"])
def test_signatures_and_long_addresses_are_secrets(url: str) -> None:
    assert UrlPolicy().source(url).secret


@pytest.mark.parametrize("url", ["https://files.example/clip.mp4?part=2", "s3://bucket/key?region=eu"])
def test_other_addresses_are_none(url: str) -> None:
    address = UrlPolicy().source(url)
    assert (address.url, address.credentials, address.secret) == (url, None, False)


@pytest.mark.acceptance("A46")
@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://files.example/a", "must begin with"),
        ("RTSP://cam.example/1", "must begin with"),
        ("/media/a.mp4", "must begin with"),
        ("http://169.254.169.254/latest/meta-data", "address of the machine or the cluster"),
        ("http://127.0.0.1/a", "address of the machine or the cluster"),
        ("http://localhost:8080/a", "localhost must not be reached"),
        ("rtsp://cam.LOCALHOST./1", "address of the machine or the cluster"),
        ("http://ip6-localhost/a", "address of the machine or the cluster"),
        ("http://metadata.google.internal/computeMetadata/v1/", "metadata.google.internal must not be reached"),
        ("http://METADATA.google.internal./", "address of the machine or the cluster"),
        ("http://metadata/", "address of the machine or the cluster"),
        ("http://u:p@instance-data:80/latest", "instance-data must not be reached"),
        ("https://kubernetes.default.svc/api", "address of the machine or the cluster"),
        ("https://kubernetes.default:443/api", "address of the machine or the cluster"),
        ("https://kubernetes.default.svc.cluster.example./api", "address of the machine or the cluster"),
        ("https://kubernetes/api", "address of the machine or the cluster"),
        ("http://localhost./a", "address of the machine or the cluster"),
        ("http://localhost%2e/a", "address of the machine or the cluster"),
        ("http://%6cocalhost/a", "address of the machine or the cluster"),
        ("http://\uff4c\uff4f\uff43\uff41\uff4chost/a", "address of the machine or the cluster"),
        ("http://localhost4/a", "address of the machine or the cluster"),
        ("http://localhost6:80/a", "address of the machine or the cluster"),
        ("http://localhost6.localdomain6/a", "address of the machine or the cluster"),
        ("http://metadata\u3002google\u3002internal/a", "address of the machine or the cluster"),
        ("http://metadata\uff61goog\uff0e/a", "address of the machine or the cluster"),
        ("http://127%2e1/a", "four numbers"),
        ("http://127.0.0.%31/a", "four numbers"),
        ("https://10.96.0.1/api", "address of the machine or the cluster"),
        ("s3:///key", "no bucket"),
        ("s3://bucket/key?endpoint=http://169.254.169.254", "endpoint: 169.254.169.254 must not be reached"),
        ("s3://bucket/key?region=eu&endpoint=http%3A%2F%2Fmetadata.google.internal", "endpoint: metadata.google"),
        ("s3://bucket/key?region=x@169.254.169.254/", "region: it must be 1 to 64"),
        ("s3://bucket/key?region=eu&region=a.b", "region: it must be 1 to 64"),
        ("s3://bucket/key?region=", "region: it must be 1 to 64"),
        ("s3://bucket/key?endpoint=ftp://files.example", "endpoint: the address must begin with"),
        ("s3://bucket/key?endpoint=https://u:p@files.example", "endpoint: it must not hold a user"),
        ("http://127.1/a", "four numbers"),
        ("http://0x7f000001/a", "four numbers"),
        ("http://2130706433/a", "four numbers"),
        ("http://[::1]/a", "address of the machine or the cluster"),
        ("http://[::ffff:169.254.169.254]/a", "address of the machine or the cluster"),
        ("rtsp://u:p@127.0.0.1/a", "address of the machine or the cluster"),
        ("https:///a", "no host"),
        ("https://files.example:99999/a", "cannot be read"),
        ("https://[files.example/a", "cannot be read"),
        ("https://files.example/a b", "%20"),
        ("https://files.example/" + "a" * 20000, "at most 16384"),
    ],
)
def test_what_an_address_says_by_itself_is_refused_early(url: str, why: str) -> None:
    with pytest.raises(UrlError, match=why):
        UrlPolicy(own=["10.96.0.1"]).source(url)


@pytest.mark.acceptance("A46")
@pytest.mark.parametrize(
    "url",
    [
        "rtsp://cameras.sites.svc.cluster.local:8554/1",
        "http://facerouter.ntech.svc:8080/clip.mp4",
        "rtsp://camera-17.local/1",
        "rtsp://nvr.berlin.internal/1",
        "http://metadata.example.com/clip.mp4",
        "http://mylocalhost/clip.mp4",
        "https://kubernetes.defaults.example/clip.mp4",
        "s3://metadata/key?endpoint=https://minio.storage.svc:9000",
        "s3://localhost/key",
        "s3://bucket/key?region=RegionOne",
        "http://k\u00fcche.example/clip.mp4",
    ],
)
def test_names_that_only_a_resolver_knows_are_left_to_the_worker(url: str) -> None:
    assert UrlPolicy(own=["10.96.0.1"]).source(url).url == url


@pytest.mark.acceptance("A46")
@pytest.mark.parametrize(
    ("url", "opened_by"),
    [
        ("http://localhost/a", "127.0.0.0/8"),
        ("http://localhost/a", "::1/128"),
        ("http://metadata.google.internal/a", "169.254.169.254/32"),
        ("https://kubernetes.default.svc/a", "10.96.0.1/32"),
    ],
)
def test_a_range_opens_the_names_that_stand_for_it(url: str, opened_by: str) -> None:
    policy = UrlPolicy(SourcePolicy(allowed_cidrs=[opened_by]), OutputPolicy(allowed_cidrs=[opened_by]), ["10.96.0.1"])
    policy.source(url)
    policy.output(url)
    with pytest.raises(UrlError):
        UrlPolicy(own=["10.96.0.1"]).output(url)


@pytest.mark.acceptance("A46")
def test_both_policies_can_be_narrowed_and_opened() -> None:
    open_here = UrlPolicy(
        SourcePolicy(schemes=["rtsp"], allowed_cidrs=["127.0.0.0/8"]),
        OutputPolicy(allowed_cidrs=["10.0.0.0/8"], denied_cidrs=["10.1.0.0/16"]),
    )
    assert open_here.source("rtsp://127.0.0.1/1").url == "rtsp://127.0.0.1/1"
    open_here.output("http://10.2.0.1/x")
    for refused in ("http://127.0.0.1/1", "rtsp://10.0.0.1/1"):
        with pytest.raises(UrlError):
            open_here.source(refused)
    for refused in ("http://10.1.0.1/x", "http://11.0.0.1/x"):
        with pytest.raises(UrlError, match="the output policy"):
            open_here.output(refused)


@pytest.mark.acceptance("A46")
@pytest.mark.parametrize("url", ["file:///etc/passwd", "udp://239.1.1.1:5000", "test://bars"])
def test_a_policy_without_schemes_opens_none_that_lead_into_the_worker(url: str) -> None:
    narrowed = SourcePolicy(denied_cidrs=["10.0.0.0/8"])
    for policy in (UrlPolicy(narrowed), UrlPolicy()):
        assert policy.source("rtsp://camera.example/1").url == "rtsp://camera.example/1"
        with pytest.raises(UrlError, match="must begin with http:// or https:// or rtsp://"):
            policy.source(url)
    named = SourcePolicy(schemes=["file", "udp", "test"])
    assert UrlPolicy(named).source(url).url == url
    with pytest.raises(UrlError, match="address of the machine or the cluster"):
        UrlPolicy(named).source("udp://localhost:5000")


@pytest.mark.parametrize(
    "url", ["mqtt://broker.example", "rtsp://x.example", "http://u:p@127.0.0.1/", "http://127.0.0.1/", LONG, "x"]
)
def test_results_go_to_web_addresses_that_may_be_reached(url: str) -> None:
    with pytest.raises(UrlError) as refused:
        UrlPolicy().output(url)
    assert "u:p" not in str(refused.value)


@pytest.mark.acceptance("X7")
@pytest.mark.parametrize(
    "url", ["ftp://u:pa55@h/", "rtsp://u:pa55@127.0.0.1/", "rtsp://u:pa55@h:x/", "rtsp://u:pa55@/"]
)
def test_a_refusal_holds_no_password(url: str) -> None:
    with pytest.raises(UrlError) as refused:
        UrlPolicy().source(url)
    assert "pa55" not in str(refused.value)
