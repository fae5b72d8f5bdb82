"""What the API server does with objects that it takes: defaults, columns, selection, scaling, status, explanation."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from kubernetes import client

from tests.cluster.crd.server import GROUP, PLURALS, ROOT, VERSION, Json, Server, crds, kubectl

EXAMPLES = [
    pytest.param(document, id=f"{path.name}:{document['kind']}")
    for path in sorted((ROOT / "examples").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
    if document["apiVersion"].startswith("videofleet.io/") and path.name != "bad.yaml"
]
URLS = [
    "rtsp://camera.example",
    "rtsp://camera.example:554/stream?channel=1&subtype=0",
    "rtsps://10.0.0.7/Streaming/Channels/101",
    "http://files.example/live@1080p.m3u8",
    "https://[2001:db8::7]:8443/a.mp4",
    "http://files.example:8080/mail%40home.mp4#t=10",
    "rtmp://ingest.example/live/camera",
    "udp://239.1.2.3:5000",
    "s3://bucket/clips/a.mp4?region=eu-west-1&endpoint=http://minio.store:9000",
    "udp://0.0.0.0:5000",
    "file:///media/clips/a%20b.mp4",
    "test://pattern?width=640&height=480&fail=network@100",
]
JOB: Json = {"source": {"url": "rtsp://camera.example/x"}, "analytics": [{"steps": [{"model": "detect"}]}]}


@pytest.fixture
def job(server: Server) -> Iterator[str]:
    """A stored VideoJob."""
    yield from _stored(server, "VideoJob", JOB)


@pytest.fixture
def pool(server: Server) -> Iterator[str]:
    """A stored WorkerPool of at most three workers."""
    yield from _stored(server, "WorkerPool", {"maxWorkers": 3})


def _stored(server: Server, kind: str, spec: Json) -> Iterator[str]:
    server.create(kind, spec, "stored", dry_run=False)
    yield "stored"
    client.CustomObjectsApi(server.client).delete_namespaced_custom_object(
        GROUP, VERSION, server.namespace, PLURALS[kind], "stored"
    )


def set_status(server: Server, kind: str, name: str, status: Json) -> Json:
    """Patch the status subresource."""
    result: Any = client.CustomObjectsApi(server.client).patch_namespaced_custom_object_status(
        GROUP, VERSION, server.namespace, PLURALS[kind], name, {"status": status}
    )
    return dict(result)


def ask(server: Server, *arguments: str) -> str:
    """What kubectl prints; AssertionError with its own words where it fails."""
    result = kubectl("-n", server.namespace, *arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("document", EXAMPLES)
def test_the_examples_are_taken(server: Server, document: Json) -> None:
    made = server.create(document["kind"], document["spec"], document["metadata"]["name"])
    assert without_defaults(made["spec"], document["spec"]) == document["spec"]


def without_defaults(made: Any, given: Any) -> Any:
    """What was made, without the fields that were not given."""
    match given:
        case dict():
            return {key: without_defaults(made[key], value) for key, value in given.items()}
        case list():
            return [without_defaults(one, wanted) for one, wanted in zip(made, given, strict=True)]
        case _:
            return made


def test_the_bad_example_is_refused_without_its_password(server: Server) -> None:
    (document,) = yaml.safe_load_all((ROOT / "examples/bad.yaml").read_text())
    document["apiVersion"] = f"{GROUP}/{VERSION}"
    document["metadata"]["namespace"] = server.namespace
    result = kubectl("apply", "-f", "-", stdin=yaml.safe_dump(document))
    assert result.returncode != 0
    assert "url must not hold a user or a password" in result.stderr
    assert "this-is-no-secret" not in result.stderr + result.stdout


@pytest.mark.parametrize("url", URLS)
def test_good_urls_are_taken(server: Server, url: str) -> None:
    assert server.create("VideoJob", {**JOB, "source": {"url": url}})["spec"]["source"]["url"] == url


def test_pictures_are_a_source(server: Server) -> None:
    images = ["https://files.example/a.jpg?x=1", "http://10.0.0.7:8080/b%40home.png", "https://[2001:db8::7]/c.png"]
    made = server.create("VideoJob", {**JOB, "source": {"images": images}})
    assert made["spec"]["source"]["images"] == images


def test_a_url_may_come_from_a_secret(server: Server) -> None:
    reference = {"name": "camera", "key": "url"}
    made = server.create("VideoJob", {**JOB, "source": {"urlSecretRef": reference}})
    assert made["spec"]["source"]["urlSecretRef"] == reference


def test_defaults_of_a_job(server: Server) -> None:
    assert server.create("VideoJob", JOB)["spec"] == {
        "enabled": True,
        "singlePass": False,
        "priority": 0,
        "slots": 1,
        "source": {"url": "rtsp://camera.example/x", "kind": "auto", "rotation": "auto", "transport": "auto"},
        "analytics": [{"name": "main", "steps": [{"model": "detect"}]}],
    }


def test_defaults_of_a_pool(server: Server) -> None:
    assert server.create("WorkerPool", {})["spec"] == {
        "capacityPerWorker": 16,
        "capacityHints": "fallback",
        "minWorkers": 1,
        "maxWorkers": 1,
        "scaleDownDelay": 300,
        "workers": 0,
        "executionProvider": "auto",
        "imagePullPolicy": "IfNotPresent",
        "isolation": "process",
        "maxUnavailable": 1,
        "packing": "spread",
        "preemption": "never",
    }


def test_quantities_may_be_numbers_or_text(server: Server) -> None:
    limits = {"cpu": 2, "memory": "4Gi", "nvidia.com/gpu": 1}
    assert server.create("WorkerPool", {"resources": {"limits": limits}})["spec"]["resources"]["limits"] == limits


def test_status_is_written_apart_from_the_spec(server: Server, job: str) -> None:
    api: Any = client.CustomObjectsApi(server.client)
    patched = api.patch_namespaced_custom_object(
        GROUP, VERSION, server.namespace, "videojobs", job, {"spec": {"priority": 7}, "status": {"run": 9}}
    )
    assert patched["spec"]["priority"] == 7
    assert patched.get("status", {}).get("run") != 9
    with_status = set_status(server, "VideoJob", job, {"phase": "AWAITING", "run": 3})
    assert with_status["status"]["run"] == 3
    assert with_status["metadata"]["generation"] == patched["metadata"]["generation"]


def test_an_unknown_phase_is_refused(server: Server, job: str) -> None:
    with pytest.raises(client.ApiException, match="supported values"):
        set_status(server, "VideoJob", job, {"phase": "DANCING"})


def test_jobs_are_selected_by_phase_and_by_worker(server: Server, job: str) -> None:
    worker = {"name": "default-0-1", "pool": "demo/default", "id": "uid"}
    set_status(server, "VideoJob", job, {"phase": "INPROGRESS", "worker": worker})
    resource = f"videojobs.{GROUP}"

    def selected(selector: str) -> str:
        return ask(server, "get", resource, "--field-selector", selector, "-o", "name").strip()

    assert selected("status.phase=INPROGRESS") == f"videojob.{GROUP}/{job}"
    assert selected("status.worker.name=default-0-1,status.phase=INPROGRESS") == f"videojob.{GROUP}/{job}"
    assert selected("status.phase=COMPLETED") == ""
    assert selected("status.worker.name=other") == ""


def test_columns_of_a_job(server: Server, job: str) -> None:
    set_status(
        server,
        "VideoJob",
        job,
        {
            "phase": "INPROGRESS",
            "reason": "Running",
            "source": "rtsp://camera.example/x",
            "message": "first frame seen",
            "worker": {"name": "default-0-1", "pool": "demo/default", "id": "uid"},
            "statistics": {"processedFps": 9.5, "restarts": 2},
            "progress": {"percent": "45 %"},
        },
    )
    assert table(ask(server, "get", f"videojobs.{GROUP}")) == {
        "NAME": "stored",
        "PHASE": "INPROGRESS",
        "WORKER": "default-0-1",
        "FPS": "9.5",
        "RESTARTS": "2",
        "REASON": "Running",
        "AGE": "_",
    }
    wide = table(ask(server, "get", f"videojobs.{GROUP}", "-o", "wide"))
    more = ("SOURCE", "POOL", "PROGRESS", "MESSAGE")
    assert [wide[name] for name in more] == ["rtsp://camera.example/x", "demo/default", "45 %", "first frame seen"]


def table(text: str) -> dict[str, str]:
    """The one row of a table that kubectl printed, by column; the age is left open."""
    head, row = text.splitlines()
    starts = [match.start() for match in re.finditer(r"\S+", head)]
    ends = [*starts[1:], None]
    cells = {head[a:b].strip(): row[a:b].strip() for a, b in zip(starts, ends, strict=True)}
    assert re.fullmatch(r"\d+s", cells["AGE"])
    return cells | {"AGE": "_"}


def test_columns_of_a_pool(server: Server, pool: str) -> None:
    counts = {"workers": {"desired": 3, "ready": 2}, "slots": {"total": 32, "used": 5}, "provider": "cpu"}
    set_status(server, "WorkerPool", pool, {**counts, "fallback": "no GPU is seen"})
    shown = table(ask(server, "get", f"workerpools.{GROUP}", "-o", "wide"))
    assert shown | {"NAME": pool} == shown
    wanted = {"READY": "2", "DESIRED": "3", "USED": "5", "SLOTS": "32", "PROVIDER": "cpu", "FALLBACK": "no GPU is seen"}
    assert shown | wanted == shown


def test_the_scale_of_a_pool_can_be_read_before_anybody_has_set_it(server: Server, pool: str) -> None:
    """Or no HorizontalPodAutoscaler could begin."""
    scale: Any = client.CustomObjectsApi(server.client).get_namespaced_custom_object_scale(
        GROUP, VERSION, server.namespace, "workerpools", pool
    )
    assert scale["spec"] == {}


def test_a_pool_is_scaled_with_kubectl(server: Server, pool: str) -> None:
    set_status(server, "WorkerPool", pool, {"replicas": 1, "selector": f"videofleet.io/pool={pool}"})
    ask(server, "scale", f"workerpools.{GROUP}", pool, "--replicas=3")
    assert ask(server, "get", f"workerpools.{GROUP}", pool, "-o", "jsonpath={.spec.workers}") == "3"
    result = kubectl("-n", server.namespace, "scale", f"workerpools.{GROUP}", pool, "--replicas=4")
    assert result.returncode != 0
    assert "workers must not be larger than maxWorkers" in result.stderr
    scale: Any = client.CustomObjectsApi(server.client).get_namespaced_custom_object_scale(
        GROUP, VERSION, server.namespace, "workerpools", pool
    )
    assert scale["status"] == {"replicas": 1, "selector": f"videofleet.io/pool={pool}"}


def test_short_names_and_categories_are_free_of_conflicts(server: Server) -> None:
    api: Any = client.ApiextensionsV1Api(server.client)
    short = {"videojobs": ["vj"], "workerpools": ["vwp"], "videolicenses": ["vlic"]}
    for plural, names in short.items():
        status = api.read_custom_resource_definition(f"{plural}.{GROUP}").status
        assert status.accepted_names.short_names == names
        assert status.accepted_names.categories == ["all", "video"]
        conditions = {condition.type: condition.status for condition in status.conditions}
        assert conditions["NamesAccepted"] == "True"
        assert conditions.get("NonStructuralSchema", "False") == "False"


def test_every_field_says_what_it_is() -> None:
    silent = [
        f"{definition['spec']['names']['kind']}{path}"
        for definition in crds()
        for part in ("spec", "status")
        for path in _silent(_root(definition)[part], f".{part}")
    ]
    assert not silent


def _root(definition: Json) -> Json:
    schema: Json = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    return schema


def _silent(schema: Json, path: str) -> list[str]:
    found = [] if schema.get("description") else [path]
    for name, field in schema.get("properties", {}).items():
        found += _silent(field, f"{path}.{name}")
    if "properties" in schema.get("items", {}):
        found += _silent(schema["items"], f"{path}[]")
    return found


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("videojob.spec", "One decoding|one decoding serves all"),
        ("videojob.spec.source", "Address of the camera, file or playlist"),
        ("videojob.spec.sampling", "every n-th frame"),
        ("videojob.status", "Written by the operator alone"),
        ("workerpool.spec", "Slots of each worker"),
        ("videolicense.spec", "Secret that holds the signed licence"),
    ],
)
def test_kubectl_explains(server: Server, field: str, said: str) -> None:
    text = ask(server, "explain", field, f"--api-version={GROUP}/{VERSION}")
    assert re.search(said, " ".join(text.split()))
    assert "<no description>" not in text


@pytest.mark.parametrize("folder", ["crds", "charts/videofleet/crds"])
def test_kubectl_reads_what_is_checked_in(server: Server, folder: str) -> None:
    """Its YAML is older than Python's: to it a bare y is true."""
    ask(server, "apply", "--dry-run=server", "--server-side", "--force-conflicts", "-f", str(ROOT / folder))


def test_a_status_has_one_owner_and_none_for_each_field(server: Server, job: str) -> None:
    made = set_status(server, "VideoJob", job, {"phase": "AWAITING", "progress": {"processedFrames": 3}})
    (of_status,) = [each for each in made["metadata"]["managedFields"] if each.get("subresource") == "status"]
    assert of_status["fieldsV1"] == {"f:status": {}}
