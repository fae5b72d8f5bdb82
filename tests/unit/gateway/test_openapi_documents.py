"""The OpenAPI document of each dialect: valid, and no request that it allows, or nearly allows, breaks the gateway."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.support.gateway import KEY, Served

DOCUMENTS = {"v": ("v_port", "/v1/openapi.json"), "f": ("f_port", "/openapi.json")}
"""Of each dialect the setting of its port, and where its document is."""
NEVER_WELL = "/v1/vision/describe"
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
ALLOWED = """
[[operations]]
include-path = "/v1/vision/describe"
checks.not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", "501"]
"""
"""What the reference itself wants to be answered with 5xx: nothing here describes pictures."""


@pytest.mark.acceptance("X5")
@pytest.mark.parametrize(("port", "path"), DOCUMENTS.values(), ids=DOCUMENTS)
async def test_a_document_is_valid(gateway: Served, port: str, path: str) -> None:
    document = (await gateway.client(None, port).get(path)).json()
    assert document["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(document).validate()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            answers = operation["responses"]
            # Errors as the dialect tells them, never as the framework does; and what is told where all is well.
            assert "400" in answers, (method, path)
            assert "422" not in answers, (method, path)
            well = [answer for code, answer in answers.items() if code < "300"]
            assert path == NEVER_WELL or any(is_described(answer) for answer in well), (method, path)


def is_described(answer: dict[str, Any]) -> bool:
    """Whether it says more than that there is JSON."""
    return any(kind != "application/json" or content["schema"] for kind, content in answer["content"].items())


@pytest.mark.acceptance("X5")
@pytest.mark.parametrize(("port", "path"), DOCUMENTS.values(), ids=DOCUMENTS)
async def test_schemathesis_finds_no_answer_of_5xx(seeing: Served, port: str, path: str, tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text(ALLOWED)
    command = [str(Path(sys.executable).with_name("st")), "run", f"{seeing.url(port)}{path}"]
    command += ["--header", f"Authorization: Bearer {KEY}", "--checks", CHECKS, "--no-color"]
    command += ["--max-examples", "25", "--seed", "1", "--generation-database", "none", "--request-timeout", "60"]
    command += ["--phases", "examples,coverage,fuzzing", "--max-time", "25", "--warnings", "off"]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


async def test_nobody_needs_a_key_to_read_it(gateway: Served) -> None:
    for port, path in DOCUMENTS.values():
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"{gateway.url(port)}{path}")).status_code == 200
