"""Which receivers of results the API server refuses, and the sentence that a person then reads."""

import pytest

from tests.cluster.crd.server import Json, Server
from tests.cluster.crd.test_crd_refusals import DETECT, body, job

JOBS: dict[str, tuple[Json, tuple[str, str]]] = {
    "a router of no scheme": (
        job(outputs={"router": {"url": "router:8080/shots"}}),
        ("spec.outputs.router", "url must be an address such as https://HOST/PATH or http://HOST:PORT/PATH"),
    ),
    "a router of a foreign scheme": (
        job(outputs={"router": {"url": "ftp://router/shots"}}),
        ("spec.outputs.router", "url must be an address such as https://HOST/PATH or http://HOST:PORT/PATH"),
    ),
    "a router of nothing": (
        job(outputs={"router": {"timeout": 5}}),
        (
            "spec.outputs.router",
            "a router needs url, for best shots, or eventsUrl, for events",
        ),
    ),
    "an address here and in a Secret": (
        job(outputs={"router": {"url": "https://router/", "urlSecretRef": {"name": "a", "key": "b"}}}),
        ("spec.outputs.router", "give url or urlSecretRef, not both"),
    ),
    "events to no host": (
        job(outputs={"router": {"url": "https://router/", "eventsUrl": "https:///events"}}),
        ("spec.outputs.router", "eventsUrl must be an address such as https://HOST/PATH or http://HOST:PORT/PATH"),
    ),
    "a router with a password": (
        job(outputs={"router": {"url": "https://me:pass@router/"}}),
        (
            "spec.outputs.router",
            "url must not hold a user or a password: put what the receiver wants to see into a Secret",
        ),
    ),
    "a webhook with a password": (
        job(outputs={"webhooks": [{"url": "https://me:pass@hook/"}]}),
        (
            "spec.outputs.webhooks[0]",
            "url must not hold a user or a password: put what the receiver wants to see into a Secret",
        ),
    ),
    "a webhook's address here and in a Secret": (
        job(outputs={"webhooks": [{"url": "https://hook/", "urlSecretRef": {"name": "a", "key": "b"}}]}),
        ("spec.outputs.webhooks[0]", "give exactly one of url and urlSecretRef"),
    ),
    "a webhook to nobody": (
        job(outputs={"webhooks": [{"events": ["trackEnd"]}]}),
        ("spec.outputs.webhooks[0]", "give exactly one of url and urlSecretRef"),
    ),
    "a webhook with a space": (
        job(outputs={"webhooks": [{"url": "https://hook/a b"}]}),
        ("spec.outputs.webhooks[0]", "url must not hold spaces or line breaks: a space is written %20"),
    ),
    "a webhook for an event that there is not": (
        job(outputs={"webhooks": [{"url": "https://hook/", "events": ["trackStart"]}]}),
        (
            "spec.outputs.webhooks[0].events[0]",
            'Unsupported value: "trackStart": supported values: "trackBegin", "trackEnd", "zoneEnter", "zoneLeave", '
            '"zoneDwell", "lineCross"',
        ),
    ),
    "a webhook told too often": (
        job(outputs={"webhooks": [{"url": "https://hook/", "interval": 0.1}]}),
        body("spec.outputs.webhooks[0].interval", 0.1, "should be greater than or equal to 1"),
    ),
    "a router that takes no time": (
        job(outputs={"router": {"url": "https://router/", "timeout": 0}}),
        body("spec.outputs.router.timeout", 0, "should be greater than 0"),
    ),
    "a broker with a scheme": (
        job(outputs={"mqtt": {"host": "mqtt://broker.example"}}),
        (
            "spec.outputs.mqtt",
            "host must be the name or the address of the broker alone, such as broker.example; the port is a field of "
            "its own, and credentials are in a Secret",
        ),
    ),
    "a broker with a port in its name": (
        job(outputs={"mqtt": {"host": "broker.example:1883"}}),
        (
            "spec.outputs.mqtt",
            "host must be the name or the address of the broker alone, such as broker.example; the port is a field of "
            "its own, and credentials are in a Secret",
        ),
    ),
    "a topic with a wildcard": (
        job(outputs={"mqtt": {"host": "broker", "topic": "cameras/#"}}),
        (
            "spec.outputs.mqtt",
            "topic must be text without + # $ and line breaks; in braces may stand {namespace}, {name}, {uid}, "
            "{analytics}, {event}",
        ),
    ),
    "a topic with a name that there is not": (
        job(outputs={"mqtt": {"host": "broker", "topic": "cameras/{camera}"}}),
        (
            "spec.outputs.mqtt",
            "topic must be text without + # $ and line breaks; in braces may stand {namespace}, {name}, {uid}, "
            "{analytics}, {event}",
        ),
    ),
    "a certificate that is not checked where there is none": (
        job(outputs={"mqtt": {"host": "broker", "verifyTls": False}}),
        ("spec.outputs.mqtt", "verifyTls: false has no meaning without tls: true"),
    ),
    "a broker told twice for sure": (
        job(outputs={"mqtt": {"host": "broker", "qos": 2}}),
        body("spec.outputs.mqtt.qos", 2, "should be less than or equal to 1"),
    ),
    "a broker's port that there is not": (
        job(outputs={"mqtt": {"host": "broker", "port": 70000}}),
        body("spec.outputs.mqtt.port", 70000, "should be less than or equal to 65535"),
    ),
    "a broker where nothing is followed": (
        job(analytics=[{"steps": [DETECT]}], outputs={"mqtt": {"host": "broker"}}),
        (
            "spec",
            "outputs.router, webhooks and mqtt need an analytics with a track step: what they tell is about tracks",
        ),
    ),
    "receivers where nothing is followed": (
        job(analytics=[{"steps": [DETECT]}], outputs={"webhooks": [{"url": "https://hook/"}]}),
        (
            "spec",
            "outputs.router, webhooks and mqtt need an analytics with a track step: what they tell is about tracks",
        ),
    ),
    "a tiny archive": (
        job(outputs={"archive": {"maxBytes": 5}}),
        body("spec.outputs.archive.maxBytes", 5, "should be greater than or equal to 1048576"),
    ),
    "an archive that keeps nothing": (
        job(outputs={"archive": {"retention": 60}}),
        body("spec.outputs.archive.retention", 60, "should be greater than or equal to 3600"),
    ),
    "an archive that tells what there is not": (
        job(outputs={"archive": {"detail": "everything"}}),
        (
            "spec.outputs.archive.detail",
            'Unsupported value: "everything": supported values: "frames", "tracks", "events"',
        ),
    ),
    "details of what is not kept": (
        job(outputs={"archive": {"enabled": False, "detail": "events"}}),
        (
            "spec.outputs.archive",
            "detail has no meaning with enabled: false: of results that are not kept every frame is told to those who "
            "read along",
        ),
    ),
    "events where nothing is followed": (
        job(analytics=[{"steps": [DETECT]}], outputs={"archive": {"detail": "tracks"}}),
        (
            "spec",
            "outputs.archive.detail tracks and events need an analytics with a track step: what they tell is about "
            "tracks",
        ),
    ),
}
POOLS: dict[str, tuple[Json, tuple[str, str]]] = {
    "a way out of a scheme that there is not": (
        {"outputPolicy": {"schemes": ["ftp"]}},
        (
            "spec.outputPolicy.schemes[0]",
            'Unsupported value: "ftp": supported values: "http", "https", "mqtt", "mqtts"',
        ),
    ),
    "a receiver's range that is none": (
        {"outputPolicy": {"allowedCidrs": ["hooks.example"]}},
        ("spec.outputPolicy", "allowedCidrs must be ranges of addresses, for example 10.20.0.0/16"),
    ),
    "a receiver's denied range that is none": (
        {"outputPolicy": {"deniedCidrs": ["10.0.0.1"]}},
        ("spec.outputPolicy", "deniedCidrs must be ranges of addresses, for example 10.20.0.0/16"),
    ),
}
GOOD: dict[str, Json] = {
    "a router": {"router": {"url": "http://router:8080/shots?site=1", "eventsUrl": "https://[2001:db8::1]:8443/"}},
    "a router in a Secret": {"router": {"urlSecretRef": {"name": "a", "key": "b"}, "eventsUrl": "https://router/"}},
    "a router of events alone": {"router": {"eventsUrl": "http://router:8080/events"}},
    "a webhook": {
        "webhooks": [{"url": "https://hooks.example", "secretRef": {"name": "a", "key": "b"}, "interval": 1}]
    },
    "a webhook in a Secret": {"webhooks": [{"urlSecretRef": {"name": "a", "key": "b"}}]},
    "an address with an @ in its path": {"webhooks": [{"url": "https://hooks.example/@me"}]},
    "a broker": {"mqtt": {"host": "broker.example", "tls": True, "verifyTls": False, "topic": "a b/{name}/{event}"}},
    "a broker at an address": {"mqtt": {"host": "2001:db8::1", "port": 1884, "qos": 0}},
    "no webhooks, in so many words": {"webhooks": []},
}


@pytest.mark.parametrize(("spec", "cause"), JOBS.values(), ids=JOBS.keys())
def test_a_job_with_receivers_that_cannot_work_is_refused(server: Server, spec: Json, cause: tuple[str, str]) -> None:
    assert server.refusal("VideoJob", spec).causes == {cause}


@pytest.mark.parametrize(("spec", "cause"), POOLS.values(), ids=POOLS.keys())
def test_a_pool_with_a_policy_that_cannot_work_is_refused(server: Server, spec: Json, cause: tuple[str, str]) -> None:
    assert server.refusal("WorkerPool", spec).causes == {cause}


@pytest.mark.parametrize("outputs", GOOD.values(), ids=GOOD.keys())
def test_receivers_that_can_work_are_taken(server: Server, outputs: Json) -> None:
    made = server.create("VideoJob", job(outputs=outputs))["spec"]["outputs"]
    assert outputs.keys() <= made.keys()
    # What is not said is filled in, so that kubectl shows it.
    assert made.get("router", {"timeout": 15, "verifyTls": True}).items() >= {"timeout": 15, "verifyTls": True}.items()
