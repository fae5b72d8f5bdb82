"""The AsyncAPI document of each dialect: valid, for everybody, and true of what the streams send."""

import copy

import httpx
import pytest
from jsonschema import ValidationError

from tests.support.asyncapi import check_chunks, check_document
from tests.support.gateway import JobApi, Served
from tests.unit.gateway.v_world import TASKS, WorkersLog, documents, job_of, submitted

DOCUMENTS = {"v": ("v_port", "/v1/asyncapi.json"), "f": ("f_port", "/asyncapi.json")}


@pytest.mark.parametrize(("port", "path"), DOCUMENTS.values(), ids=DOCUMENTS)
async def test_a_document_is_valid_and_needs_no_key(gateway: Served, port: str, path: str) -> None:
    async with httpx.AsyncClient() as client:
        document = (await client.get(f"{gateway.url(port)}{path}")).json()
    assert document["asyncapi"] == "3.0.0"
    check_document(document)
    wrong = copy.deepcopy(document)
    next(iter(wrong["operations"].values()))["action"] = "sends"
    with pytest.raises(ValidationError, match="sends"):
        check_document(wrong)


@pytest.mark.parametrize(("port", "path"), DOCUMENTS.values(), ids=DOCUMENTS)
async def test_every_channel_is_a_path_of_the_dialect(gateway: Served, port: str, path: str) -> None:
    client = gateway.client(port=port)
    document = (await client.get(path)).json()
    for channel in document["channels"].values():
        address = channel["address"]
        for name in channel["parameters"]:
            address = address.replace(f"{{{name}}}", "nobody")
        answer = await client.get(address)
        assert answer.status_code == 404
        # Not: "there is nothing at this path". A view is opened over WebSocket only.
        assert "at this path" not in answer.text or channel["bindings"].keys() == {"ws"}


async def test_what_a_stream_sends_is_what_the_document_says(gateway: Served, api: JobApi) -> None:
    client = gateway.client()
    task = await submitted(client)
    async with WorkersLog(gateway, job_of(api, task)) as log:
        await log.frames(0, 1, 2)
        await log.finish(2)
    *chunks, last = documents((await client.get(f"{TASKS}/{task}/stream")).content)
    assert (len(chunks), last) == (4, "[DONE]")
    check_chunks(chunks)
    with pytest.raises(ValidationError, match="'stream_info' is a required property"):
        check_chunks([{"id": chunks[0]["id"], "delta": {"results": []}}])
