"""What the API server refuses by itself, and the sentence that a person then reads."""

from typing import Any

import pytest

from tests.cluster.crd.server import Json, Server

URL = "rtsp://camera.example:554/stream"
FILE = {"url": "https://files.example/a.mp4"}
LIVE_RANGE = "range is for recorded sources: a live one has neither a beginning nor an end"
DETECT = {"model": "detect"}
TRACK = {"model": "track"}
USER_PART = (
    "url must not hold a user or a password: put them under the keys username and password of a Secret "
    "and name it in credentialsSecretRef (an @ that belongs to the path is written %40)"
)
NO_HOST = "url has no host: write it as rtsp://HOST/PATH or https://HOST/PATH, a file as file:///media/NAME/PATH"
SCHEME = (
    "url must begin with rtsp://, rtsps://, rtmp://, rtmps://, http://, https://, s3://, udp://, file:// or test://"
)
PORT = "the port in url must be a number"
SPACE = "url must not hold spaces or line breaks: a space is written %20"
ONE_SOURCE = "give exactly one of url, urlSecretRef and images"
IMAGES = (
    "images must begin with http:// or https://, and hold neither a user or a password nor spaces "
    "(an @ that belongs to the path is written %40)"
)
VALUE = "value goes with the modes fps (frames a second) and interval (every n-th frame), and only with these"
MODEL_PATH = "^[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*$"


def job(**spec: Any) -> Json:
    """The spec of a job that is accepted, with some fields replaced."""
    return {"source": {"url": URL}, "analytics": [{"steps": [DETECT, TRACK]}], **spec}


def parameters(**given: Any) -> Json:
    """A job whose detection has these parameters."""
    return job(analytics=[{"steps": [{**DETECT, "parameters": given}]}])


def body(path: str, value: object, said: str) -> tuple[str, str]:
    """The cause of a bound that the schema has."""
    return path, f"{value}: {path} in body {said}"


STEP = "spec.analytics[0].steps[0]"
JOBS: dict[str, tuple[Json, tuple[str, str]]] = {
    "no analytics": (job(analytics=[]), body("spec.analytics", 0, "should have at least 1 items")),
    "too many analytics": (
        job(analytics=[{"name": f"a{index}", "steps": [DETECT]} for index in range(5)]),
        ("spec.analytics", "Too many: 5: must have at most 4 items"),
    ),
    "no steps": (
        job(analytics=[{"steps": []}]),
        body("spec.analytics[0].steps", 0, "should have at least 1 items"),
    ),
    "the same name twice": (
        job(analytics=[{"steps": [DETECT]}, {"name": "main", "steps": [DETECT]}]),
        ("spec", "every analytics needs a name of its own"),
    ),
    "a name with a space": (
        job(analytics=[{"name": "A b", "steps": [DETECT]}]),
        body("spec.analytics[0].name", '"A b"', "should match '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'"),
    ),
    "two sources": (
        job(source={"url": URL, "urlSecretRef": {"name": "camera", "key": "url"}}),
        ("spec.source", ONE_SOURCE),
    ),
    "a url and images": (
        job(source={"url": URL, "images": ["https://files.example/a.jpg"]}),
        ("spec.source", ONE_SOURCE),
    ),
    "images of files": (job(source={"images": ["file:///media/a.jpg"]}), ("spec.source", IMAGES)),
    "images with a password": (
        job(source={"images": ["https://files.example/a.jpg", "https://u:p@files.example/b.jpg"]}),
        ("spec.source", IMAGES),
    ),
    "live images": (
        job(source={"images": ["https://files.example/a.jpg"], "kind": "live"}),
        ("spec.source", "images have an end: kind live does not go with them"),
    ),
    "no source": (job(source={}), ("spec.source", ONE_SOURCE)),
    "a part of a camera": (job(range={"end": 5}), ("spec", LIVE_RANGE)),
    "a part of what is said to be live": (
        job(source={"url": "https://files.example/a.m3u8", "kind": "live"}, range={"end": 5}),
        ("spec", LIVE_RANGE),
    ),
    "a part that ends where it begins": (
        job(source=FILE, range={"start": 5, "end": 5}),
        ("spec.range", "start must be smaller than end"),
    ),
    "a part of a frame": (
        job(source=FILE, range={"start": 1.5, "unit": "frames"}),
        ("spec.range", "start and end must be whole numbers for the unit frames"),
    ),
    "turned a little": (
        job(source={**FILE, "rotation": "45"}),
        (
            "spec.source.rotation",
            'Unsupported value: "45": supported values: "auto", "0", "90", "180", "270"',
        ),
    ),
    "interval with a fraction": (
        job(sampling={"mode": "interval", "value": 2.5}),
        ("spec.sampling", "value must be a whole number for the mode interval"),
    ),
    "keyframes alone for every frame": (
        job(sampling={"mode": "all", "decode": "keyframes"}),
        (
            "spec.sampling",
            "decode keyframes goes with the modes fps and interval; for every keyframe there is the mode keyframe",
        ),
    ),
    "a speed of nothing": (job(sampling={"speed": 0}), ("spec.sampling", "speed must be at least 0.1")),
    "interval without a value": (job(sampling={"mode": "interval"}), ("spec.sampling", VALUE)),
    "fps without a value": (job(sampling={"mode": "fps"}), ("spec.sampling", VALUE)),
    "all with a value": (job(sampling={"mode": "all", "value": 1}), ("spec.sampling", VALUE)),
    "keyframe with a value": (job(sampling={"mode": "keyframe", "value": 1}), ("spec.sampling", VALUE)),
    "a value without a mode": (job(sampling={"value": 1}), ("spec.sampling", VALUE)),
    "no frames a second": (
        job(sampling={"mode": "fps", "value": 0}),
        body("spec.sampling.value", 0, "should be greater than 0"),
    ),
    "an unknown mode": (
        job(sampling={"mode": "half"}),
        ("spec.sampling.mode", 'Unsupported value: "half": supported values: "all", "fps", "keyframe", "interval"'),
    ),
    "an unknown transport": (
        job(source={"url": URL, "transport": "sctp"}),
        ("spec.source.transport", 'Unsupported value: "sctp": supported values: "auto", "tcp", "udp"'),
    ),
    "an unknown kind of source": (
        job(source={"url": URL, "kind": "tape"}),
        ("spec.source.kind", 'Unsupported value: "tape": supported values: "auto", "live", "recorded"'),
    ),
    "no slots": (job(slots=0), body("spec.slots", 0, "should be greater than or equal to 1")),
    "too many slots": (job(slots=1025), body("spec.slots", 1025, "should be less than or equal to 1024")),
    "no frames": (job(maxFrames=0), body("spec.maxFrames", 0, "should be greater than or equal to 1")),
    "confidence in percent": (
        parameters(confidence=35),
        body(f"{STEP}.parameters.confidence", 35, "should be less than or equal to 1"),
    ),
    "a negative overlap": (
        parameters(iou=-0.1),
        body(f"{STEP}.parameters.iou", -0.1, "should be greater than or equal to 0"),
    ),
    "no time to be lost": (
        parameters(lostSeconds=0),
        body(f"{STEP}.parameters.lostSeconds", 0, "should be greater than 0"),
    ),
    "a tracker that there is not": (
        parameters(tracker="sort"),
        (f"{STEP}.parameters.tracker", 'Unsupported value: "sort": supported values: "bytetrack", "ocsort"'),
    ),
    "no classes": (
        parameters(classes=[]),
        body(f"{STEP}.parameters.classes", 0, "should have at least 1 items"),
    ),
    "delay above its maximum": (
        job(restart={"delay": 10, "maxDelay": 1}),
        ("spec.restart", "delay must not be larger than maxDelay"),
    ),
    "no delay": (
        job(restart={"delay": 0}),
        ("spec.restart", "delay must be at least 0.1 seconds"),
    ),
    "no attempts": (
        job(restart={"maxAttempts": 0}),
        body("spec.restart.maxAttempts", 0, "should be greater than or equal to 1"),
    ),
    "a selector without values": (
        job(workerSelector={"matchExpressions": [{"key": "site", "operator": "In"}]}),
        (
            "spec.workerSelector.matchExpressions[0]",
            "values go with the operators In and NotIn, and only with these",
        ),
    ),
    "a selector with values too many": (
        job(workerSelector={"matchExpressions": [{"key": "site", "operator": "Exists", "values": ["x"]}]}),
        (
            "spec.workerSelector.matchExpressions[0]",
            "values go with the operators In and NotIn, and only with these",
        ),
    ),
    "a schedule that ends when it begins": (
        job(schedule=[{"from": "08:00", "to": "08:00"}]),
        ("spec.schedule[0]", "from and to must differ: the whole day is from 00:00 to 24:00"),
    ),
    "a schedule on a day that there is not": (
        job(schedule=[{"days": ["monday"], "from": "08:00", "to": "18:00"}]),
        (
            "spec.schedule[0].days[0]",
            'Unsupported value: "monday": supported values: "mon", "tue", "wed", "thu", "fri", "sat", "sun"',
        ),
    ),
    "a schedule at an hour that there is not": (
        job(schedule=[{"from": "24:00", "to": "08:00"}]),
        body("spec.schedule[0].from", '"24:00"', "should match '^([01][0-9]|2[0-3]):[0-5][0-9]$'"),
    ),
    "source left out": ({"analytics": [{"steps": [DETECT]}]}, ("spec.source", "Required value")),
    "analytics left out": ({"source": {"url": URL}}, ("spec.analytics", "Required value")),
    "enabled in words": (
        job(enabled="yes"),
        ("spec.enabled", '"string": spec.enabled in body must be of type boolean: "string"'),
    ),
}

BUCKET: Json = {"bucket": "results", "credentialsSecretRef": {"name": "store"}}
POOLS: dict[str, tuple[Json, tuple[str, str]]] = {
    "a model from nowhere": (
        {"models": [{"name": "yolo"}]},
        ("spec.models[0]", "a model comes from an image or from a claimName"),
    ),
    "a model from two places": (
        {"models": [{"name": "yolo", "image": "x/y:1", "claimName": "models"}]},
        ("spec.models[0]", "a model comes from an image or from a claimName"),
    ),
    "a model outside its volume": (
        {"models": [{"name": "yolo", "image": "x/y:1", "path": "../etc"}]},
        body("spec.models[0].path", '"../etc"', f"should match '{MODEL_PATH}'"),
    ),
    "a digest of another kind": (
        {"models": [{"name": "yolo", "image": "x/y:1", "digest": "md5:abc"}]},
        body("spec.models[0].digest", '"md5:abc"', "should match '^sha256:[0-9a-f]{64}$'"),
    ),
    "no capacity": (
        {"capacityPerWorker": 0},
        body("spec.capacityPerWorker", 0, "should be greater than or equal to 1"),
    ),
    "more at least than at most": (
        {"minWorkers": 3, "maxWorkers": 2},
        ("spec", "minWorkers must not be larger than maxWorkers"),
    ),
    "more at least than the default": ({"minWorkers": 2}, ("spec", "minWorkers must not be larger than maxWorkers")),
    "more than at most": ({"workers": 2}, ("spec", "workers must not be larger than maxWorkers")),
    "requests that are no quantity": (
        {"resources": {"requests": {"cpu": "lots"}}},
        ("spec.resources", "requests must be quantities, for example 500m or 2Gi"),
    ),
    "limits that are no quantity": (
        {"resources": {"limits": {"memory": "4 GB"}}},
        ("spec.resources", "limits must be quantities, for example 2 or 4Gi"),
    ),
    "no accelerator of a kind": (
        {"accelerator": {"count": 0}},
        body("spec.accelerator.count", 0, "should be greater than or equal to 1"),
    ),
    "an unknown accelerator": (
        {"accelerator": {"type": "abacus"}},
        ("spec.accelerator.type", 'Unsupported value: "abacus": supported values: "nvidia", "none"'),
    ),
    "an unknown pull policy": (
        {"imagePullPolicy": "Sometimes"},
        (
            "spec.imagePullPolicy",
            'Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"',
        ),
    ),
    "a scheme that there is not": (
        {"sourcePolicy": {"schemes": ["ftp"]}},
        (
            "spec.sourcePolicy.schemes[0]",
            'Unsupported value: "ftp": supported values: "rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "s3", '
            '"udp", "file", "test"',
        ),
    ),
    "an allowed range that is none": (
        {"sourcePolicy": {"allowedCidrs": ["10.0.0.0/8", "cameras.example"]}},
        ("spec.sourcePolicy", "allowedCidrs must be ranges of addresses, for example 10.20.0.0/16"),
    ),
    "a denied range that is none": (
        {"sourcePolicy": {"deniedCidrs": ["10.0.0.1"]}},
        ("spec.sourcePolicy", "deniedCidrs must be ranges of addresses, for example 10.20.0.0/16"),
    ),
    "an archive that is nowhere": (
        {"archive": {}},
        ("spec.archive", "results are kept in a claimName or in s3: give one"),
    ),
    "an archive in two places": (
        {"archive": {"claimName": "results", "s3": BUCKET}},
        ("spec.archive", "results are kept in a claimName or in s3: give one"),
    ),
    "a store with a path": (
        {"archive": {"s3": BUCKET | {"endpoint": "https://store/results"}}},
        (
            "spec.archive.s3",
            "endpoint must be the address of a store alone, such as https://HOST or http://HOST:PORT",
        ),
    ),
    "a prefix that leads elsewhere": (
        {"archive": {"s3": BUCKET | {"prefix": "/results"}}},
        (
            "spec.archive.s3",
            "prefix must be names of letters, digits, dots, dashes and underscores, joined by slashes",
        ),
    ),
    "a bucket without credentials": (
        {"archive": {"s3": {"bucket": "results"}}},
        ("spec.archive.s3.credentialsSecretRef", "Required value"),
    ),
}


@pytest.mark.parametrize(("spec", "cause"), JOBS.values(), ids=JOBS.keys())
def test_a_job_that_cannot_work_is_refused(server: Server, spec: Json, cause: tuple[str, str]) -> None:
    assert server.refusal("VideoJob", spec).causes == {cause}


@pytest.mark.parametrize(("spec", "cause"), POOLS.values(), ids=POOLS.keys())
def test_a_pool_that_cannot_work_is_refused(server: Server, spec: Json, cause: tuple[str, str]) -> None:
    assert server.refusal("WorkerPool", spec).causes == {cause}


URLS = {
    "no scheme": ("camera.example/stream", {SCHEME, NO_HOST, PORT}),
    "wrong scheme": ("ftp://camera.example/a.mp4", {SCHEME}),
    "a file without a path": ("file://", {NO_HOST}),
    "a scheme in capitals": ("RTSP://camera.example/stream", {SCHEME}),
    "no host": ("rtsp:///stream", {NO_HOST}),
    "only a port": ("rtsp://:554/stream", {NO_HOST}),
    "a port in words": ("rtsp://camera.example:rtsp/stream", {PORT}),
    "a port too long": ("rtsp://camera.example:123456/stream", {PORT}),
    "an IPv6 address left open": ("http://[::1/a.mp4", {NO_HOST, PORT}),
    "a port in words behind IPv6": ("http://[::1]:http/a.mp4", {PORT}),
    "a space": ("http://files.example/a b.mp4", {SPACE}),
    "a line break": ("http://files.example/a.mp4\n", {SPACE}),
    "empty": ("", {SCHEME, NO_HOST, PORT}),
}


@pytest.mark.parametrize(("url", "said"), URLS.values(), ids=URLS.keys())
def test_a_url_that_leads_nowhere_is_refused(server: Server, url: str, said: set[str]) -> None:
    causes = server.refusal("VideoJob", job(source={"url": url})).causes
    assert causes == {("spec.source", sentence) for sentence in said}


PASSWORD = "s3cret"
WITH_PASSWORD = {
    "plain": f"rtsp://user:{PASSWORD}@camera.example/x",
    "without a user": f"rtsp://:{PASSWORD}@camera.example/x",
    "percent-encoded": f"rtsp://user:{PASSWORD}%2F@camera.example/x",
    "with a slash": f"rtsp://user:{PASSWORD}/a@camera.example/x",
    "with a slash behind digits": f"rtsp://user:12/{PASSWORD}@camera.example/x",
    "with a question mark": f"rtsp://user:{PASSWORD}?a@camera.example/x",
    "with a hash": f"rtsp://user:{PASSWORD}#a@camera.example/x",
    "with an at": f"rtsp://user:{PASSWORD}@a@camera.example/x",
    "with a colon": f"rtsp://user:{PASSWORD}:a@camera.example/x",
    "with a bracket": f"rtsp://user:[{PASSWORD}/@camera.example/x",
    "before an IPv6 address": f"http://user:{PASSWORD}@[::1]:8080/x",
    "in a scheme that is refused as well": f"ftp://user:{PASSWORD}@camera.example/x",
    "too long as well": f"rtsp://user:{PASSWORD}@camera.example/{'x' * 2083}",
    "with a space": f"rtsp://user:{PASSWORD} a@camera.example/x",
}


@pytest.mark.parametrize("url", WITH_PASSWORD.values(), ids=WITH_PASSWORD.keys())
def test_a_password_in_the_url_is_refused_and_not_repeated(server: Server, url: str) -> None:
    refusal = server.refusal("VideoJob", job(source={"url": url}))
    assert PASSWORD not in refusal.text
    too_long = ("spec.source.url", "Too long: may not be more than 2083 bytes")
    assert {("spec.source", USER_PART), too_long} & refusal.causes


def test_a_user_alone_is_refused(server: Server) -> None:
    assert ("spec.source", USER_PART) in server.refusal("VideoJob", job(source={"url": "rtsp://user@host/x"})).causes


def test_a_password_under_another_fault_is_not_repeated(server: Server) -> None:
    refusal = server.refusal("VideoJob", job(slots=0, source={"url": WITH_PASSWORD["plain"], "kind": "tape"}))
    assert PASSWORD not in refusal.text


def test_a_field_that_does_not_exist_is_named(server: Server) -> None:
    assert 'unknown field \\"spec.sampleing\\"' in server.refusal("VideoJob", job(sampleing={})).text


def test_only_the_licence_named_default_is_taken(server: Server) -> None:
    spec = {"secretRef": {"namespace": "videofleet", "name": "licence"}}
    said = "the only VideoLicense that counts is the one named default"
    assert server.refusal("VideoLicense", spec, "other").causes == {("<nil>", said)}
    assert server.create("VideoLicense", spec, "default")["spec"]["secretRef"]["key"] == "license"


def test_a_pool_leaves_room_for_the_names_of_its_pods(server: Server) -> None:
    said = "a pool's name has at most 40 characters: its pods are named after it"
    assert server.refusal("WorkerPool", {}, "x" * 41).causes == {("<nil>", said)}
    assert server.create("WorkerPool", {}, "x" * 40)["metadata"]["name"] == "x" * 40
