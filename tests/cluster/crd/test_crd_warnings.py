"""What kubectl warns of and takes all the same: addresses that hold what everybody reads who may read the job."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from kubernetes import client

from tests.cluster.crd.server import GROUP, VERSION, Json, Server, kubectl
from tests.cluster.crd.test_crd_refusals import job
from tests.support.kubectl import eventually
from tests.unit.chart.rendering import render
from videofleet_api.redaction import SECRET_KEYS, holds_secret_values

TOKEN = "https://h.example/x?site=1&access_token=t0p"
SAID = "looks as if it held a password, a token or a signature"


def warnings(server: Server, spec: Json) -> list[str]:
    """What kubectl says beside taking the job."""
    metadata = {"name": "tried", "namespace": server.namespace}
    document = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "VideoJob", "metadata": metadata, "spec": spec}
    told = kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(document))
    assert told.returncode == 0, told.stderr
    return [line for line in told.stderr.splitlines() if line.startswith("Warning:")]


@pytest.fixture(scope="module")
def warning(server: Server) -> Iterator[Server]:
    """The chart's policy, for the tests' group."""
    rendered = render(fullnameOverride="crdtest")
    api: Any = client.AdmissionregistrationV1Api(server.client)
    (policy,), (binding,) = (rendered.of(f"ValidatingAdmissionPolicy{kind}") for kind in ("", "Binding"))
    policy["spec"]["matchConstraints"]["resourceRules"][0]["apiGroups"] = [GROUP]
    name = policy["metadata"]["name"]
    api.create_validating_admission_policy(policy)
    try:
        api.create_validating_admission_policy_binding(binding)
        eventually(partial(warnings, server, job(source={"url": TOKEN})), "the API server knows the policy")
        yield server
    finally:
        api.delete_validating_admission_policy(name)
        api.delete_validating_admission_policy_binding(name)


@pytest.mark.acceptance("X7")
@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (job(source={"url": TOKEN}), "name it in spec.source.urlSecretRef"),
        (job(source={"images": ["https://h.example/1.jpg", TOKEN]}), "spec.source.images"),
        (job(outputs={"router": {"url": TOKEN}}), "name it in spec.outputs.router.urlSecretRef"),
        (job(outputs={"router": {"eventsUrl": TOKEN}}), "name it in spec.outputs.router.eventsUrlSecretRef"),
        (
            job(outputs={"webhooks": [{"url": "https://h.example/"}, {"url": TOKEN}]}),
            "name it in the webhook's urlSecretRef",
        ),
    ],
)
def test_a_token_in_an_address_is_warned_of_where_it_stands(warning: Server, spec: Json, told: str) -> None:
    (said,) = warnings(warning, spec)
    assert SAID in said
    assert told in said
    assert "t0p" not in said


@pytest.mark.parametrize(
    "query",
    [
        *("", "?site=1", "?token=", "?a=b#token=x", "?a=token", "#x?token=1"),
        *("?Token=1", "?a=1&X-Amz-Signature=abc&b", "?sig=1", "?user=me", "?password=x#end"),
    ],
)
def test_it_warns_of_what_the_gateway_takes_for_a_secret(warning: Server, query: str) -> None:
    url = f"https://h.example/clip.mp4{query}"
    assert bool(warnings(warning, job(source={"url": url}))) is holds_secret_values(url)


def test_both_have_the_same_words() -> None:
    (policy,) = render().of("ValidatingAdmissionPolicy")
    assert all(SECRET_KEYS.pattern in each["expression"] for each in policy["spec"]["validations"])


def test_addresses_in_secrets_and_other_edits_are_not_warned_of(warning: Server) -> None:
    ref = {"urlSecretRef": {"name": "a", "key": "b"}}
    assert warnings(warning, job(source=ref, outputs={"router": ref, "webhooks": [ref]})) == []
    warning.create("VideoJob", job(source={"url": TOKEN}), name="labelled", dry_run=False)
    where = ("-n", warning.namespace, f"videojobs.{GROUP}", "labelled")
    assert SAID not in kubectl("label", *where, "site=1").stderr
    assert SAID in kubectl("patch", *where, "--type=merge", "-p", '{"spec":{"singlePass":true}}').stderr


def test_it_can_be_left_out() -> None:
    rendered = render(operator={"addressWarnings": False})
    assert not rendered.of("ValidatingAdmissionPolicy") + rendered.of("ValidatingAdmissionPolicyBinding")
