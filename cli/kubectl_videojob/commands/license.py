"""`kubectl videojob license`: what the licence says, and a new one installed."""

import base64
import json
import time
from pathlib import Path
from typing import Annotated, Final

import typer

from kubectl_videojob.cluster import Cluster, Json, core_path
from kubectl_videojob.console import output, since, span, table, utc_now
from kubectl_videojob.errors import ERROR, ServerError, UserError
from kubectl_videojob.flags import Flags, with_flags
from videofleet_api import licence_file
from videofleet_api.names import API_VERSION, LICENSE_NAME
from videofleet_api.times import parse_time
from videofleet_api.videolicense import LicenseDocument

_PATH: Final = f"/apis/{API_VERSION}/videolicenses"
_KEY: Final = "license"
_LOOK: Final = 0.5
_JUDGED_WITHIN: Final = 90.0
"""Seconds; a Secret that was fine is read every minute."""
_REFUSED_AFTER: Final = 12.0
"""Seconds; one that was not is read every five."""

commands = typer.Typer(help="Show the licence of the cluster, or install one.", no_args_is_help=True)


@commands.command()
@with_flags
def show(
    flags: Flags,
    form: Annotated[str | None, typer.Option("--output", "-o", help="json: for scripts.")] = None,
) -> None:
    """Show who may use it, how many streams are used, and until when it is valid. Exit code 1: it is not valid."""
    found = flags.cluster.find(f"{_PATH}/{LICENSE_NAME}")
    if found is None:
        output().print("no VideoLicense: the number of streams is not limited, unless the chart sets licence.required")
        return
    if form not in (None, "json"):
        raise UserError(f"--output {form}: only json is known; without it people are told")
    if form == "json":
        print(json.dumps({"spec": found["spec"], "status": found.get("status") or {}}, indent=2))
    else:
        output().print(table(("", ""), _rows(found)))
    if not _valid(found)[0]:
        raise typer.Exit(ERROR)


@commands.command()
@with_flags
def install(
    flags: Flags,
    file: Annotated[Path, typer.Argument(help="The signed licence, as videofleet-license sign writes it.")],
    secret: Annotated[str, typer.Option(help="Name of the Secret that will hold it.")] = "videofleet-licence",
    wait: Annotated[bool, typer.Option(help="Wait for the operator's judgement.")] = True,
) -> None:
    """Put a signed licence into a Secret of the namespace, and point the cluster's VideoLicense to it.

    The operator must be allowed to read the Secret: give --namespace of the operator.
    """
    text, document = _read(file)
    cluster = flags.cluster
    _put_secret(cluster, secret, text)
    _put_license(cluster, secret)
    output().print(f"secret/{secret} in {cluster.namespace} and videolicense/{LICENSE_NAME} are there")
    if wait:
        _await_judgement(cluster, document)


def _read(file: Path) -> tuple[bytes, LicenseDocument]:
    """The file, if it is a licence at all; whether it is believed, the operator says."""
    try:
        text = file.read_bytes()
        return text, licence_file.document(licence_file.read(text).payload)
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{file} holds {error}") from None


def _put_secret(cluster: Cluster, name: str, text: bytes) -> None:
    data = {_KEY: base64.b64encode(text).decode()}
    try:
        cluster.merge(core_path("secrets", cluster.namespace, name), {"data": data})
    except ServerError as error:
        if error.status != 404:
            raise
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}
        cluster.create(core_path("secrets", cluster.namespace), body)


def _put_license(cluster: Cluster, secret: str) -> None:
    spec = {"secretRef": {"namespace": cluster.namespace, "name": secret, "key": _KEY}}
    try:
        cluster.merge(f"{_PATH}/{LICENSE_NAME}", {"spec": spec})
    except ServerError as error:
        if error.status != 404:
            raise
        body = {"apiVersion": API_VERSION, "kind": "VideoLicense", "metadata": {"name": LICENSE_NAME}, "spec": spec}
        cluster.create(_PATH, body)


def _await_judgement(cluster: Cluster, document: LicenseDocument) -> None:
    """Until the status tells of this document, or of a refusal that lasts; then as `show`."""
    began = time.monotonic()
    while True:
        found = cluster.get(f"{_PATH}/{LICENSE_NAME}")
        valid, message = _valid(found)
        waited = time.monotonic() - began
        if _tells_of(found, document) or (not valid and waited > _REFUSED_AFTER):
            break
        if waited > _JUDGED_WITHIN:
            raise UserError(
                f"no operator has judged it within {waited:.0f} s: is one running, and may it read the Secret?"
            )
        time.sleep(_LOOK)
    output().print(table(("", ""), _rows(found)))
    if not valid:
        raise UserError(f"the licence is not valid: {message}")


def _tells_of(found: Json, document: LicenseDocument) -> bool:
    status, wire = found.get("status") or {}, document.wire()
    return all(status.get(name) == wire[name] for name in ("licensee", "maxStreams", "notBefore", "expires"))


def _valid(found: Json) -> tuple[bool, str]:
    """Whether new streams may start, and what the operator says of it."""
    for each in (found.get("status") or {}).get("conditions") or []:
        if each["type"] == "Valid":
            return each["status"] == "True", f"{each['reason']}: {each['message']}"
    return False, "no operator has judged it yet"


def _rows(found: Json) -> list[tuple[str, str]]:
    status, secret = found.get("status") or {}, found["spec"]["secretRef"]
    most = status.get("maxStreams")
    rows = [
        ("licensee", str(status.get("licensee", "unknown"))),
        ("streams", f"{status.get('usedStreams', 0)} of {'unknown' if most is None else most} used"),
        ("expires", _end(status.get("expires"))),
        ("steps", ", ".join(status.get("features") or []) or "all"),
        ("secret", f"{secret['namespace']}/{secret['name']}, key {secret.get('key', _KEY)}"),
        ("judgement", _valid(found)[1]),
    ]
    if status.get("graceEnds"):
        rows.insert(3, ("starts until", _end(status["graceEnds"])))
    return rows


def _end(time: str | None) -> str:
    if time is None:
        return "unknown"
    left = parse_time(time) - utc_now().timestamp()
    return f"{time} ({f'in {span(left)}' if left > 0 else f'{since(time, utc_now())} ago'})"
