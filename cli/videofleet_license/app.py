"""The commands."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from videofleet_api.licence_file import SignedFile, grace_ends, standing
from videofleet_api.times import format_time, parse_time
from videofleet_api.videolicense import LicenseDocument
from videofleet_license import documents, files, keys
from videofleet_license.errors import LicenceError

PRIVATE, PUBLIC = 0o600, 0o644
NOT_USABLE = 1
REFUSED = 2
_DAY = 86_400

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False)
Force = Annotated[bool, typer.Option("--force", help="Replace files that exist.")]
PublicKeyFile = Annotated[Path, typer.Option("--public-key", help="Public key (PEM) that must have signed it.")]
LicenceFile = Annotated[Path, typer.Argument(help="The signed licence.")]


@app.callback()
def _program() -> None:
    """Make a licensor's keys, sign licences, and say what a licence is worth."""


@app.command()
def keygen(
    name: Annotated[str, typer.Argument(help="NAME.key and NAME.pem are written.")], force: Force = False
) -> None:
    """Make a key pair: NAME.key signs (keep it secret), NAME.pem goes into the chart's licence.publicKeys."""
    key = Ed25519PrivateKey.generate()
    secret, public = Path(f"{name}.key"), Path(f"{name}.pem")
    if not force:
        # Of a pair that exists by half, neither half is touched.
        _refuse_existing(secret, public)
    files.write(secret, keys.private_pem(key), mode=PRIVATE, force=force)
    files.write(public, keys.public_pem(key.public_key()), mode=PUBLIC, force=force)
    typer.echo(f"{secret}: private key, keep it secret\n{public}: public key {keys.key_id(key.public_key())}")


@app.command()
def sign(
    key: Annotated[Path, typer.Option(help="Private key (PEM), as keygen writes it.")],
    licensee: Annotated[str, typer.Option(help="Who may use it.")],
    max_streams: Annotated[int, typer.Option(help="Streams that may run at once.")],
    expires: Annotated[str, typer.Option(help="End, RFC 3339, for example 2030-01-01T00:00:00Z.")] = "",
    days: Annotated[int | None, typer.Option(help="Instead of --expires: days from the beginning.", min=1)] = None,
    not_before: Annotated[str, typer.Option(help="Beginning, RFC 3339; now where it is not given.")] = "",
    feature: Annotated[list[str] | None, typer.Option(help="Step that streams may use; none: every.")] = None,
    count_recorded: Annotated[bool, typer.Option(help="Whether recorded files take a slot, too.")] = True,
    grace_days: Annotated[float, typer.Option(help="Days after the end in which streams still start.")] = 0,
    out: Annotated[Path | None, typer.Option(help="File to write; standard output where it is not given.")] = None,
    force: Force = False,
) -> None:
    """Sign a licence."""
    begin = not_before or format_time(int(time.time()))
    document = documents.make(
        licensee=licensee,
        max_streams=max_streams,
        features=feature or [],
        count_recorded=count_recorded,
        not_before=begin,
        expires=_end(begin, expires, days),
        grace_days=grace_days,
    )
    signed = documents.sign(document, keys.private_key(files.read(key), str(key)))
    if out is None:
        typer.echo(signed.decode())
        return
    files.write(out, signed + b"\n", mode=PUBLIC, force=force)
    typer.echo(f"{out}: {document.max_streams} streams for {document.licensee} until {document.expires}")


@app.command()
def show(file: LicenceFile) -> None:
    """Say what a licence holds, whoever signed it."""
    _print(*documents.read(files.read(file), str(file)))


@app.command()
def verify(
    file: LicenceFile,
    public_key: PublicKeyFile,
    at: Annotated[str, typer.Option(help="Judge it as of this time, RFC 3339; now where it is not given.")] = "",
) -> None:
    """Judge a licence as the operator does. Exit code 0: streams may start; 1: they may not; 2: it is no such file."""
    moment = _time("--at", at) if at else time.time()
    signed, document = documents.read(files.read(file), str(file))
    key = keys.public_key(files.read(public_key), str(public_key))
    try:
        documents.check(signed, key)
    except LicenceError as error:
        typer.echo(f"BadSignature: {error}")
        raise typer.Exit(NOT_USABLE) from error
    _print(signed, document)
    found = standing(document, moment)
    typer.echo(f"{found.validity}: {found.message}")
    if not found.usable:
        raise typer.Exit(NOT_USABLE)


def main() -> None:
    """The program. What was given and cannot be used is told in one line."""
    try:
        app()
    except LicenceError as error:
        print(f"videofleet-license: {error}", file=sys.stderr)
        raise SystemExit(REFUSED) from None


def _refuse_existing(*paths: Path) -> None:
    there = [str(path) for path in paths if path.exists()]
    if there:
        raise LicenceError(f"{' and '.join(there)} exist(s): name other files, or give --force to replace them")


def _end(begin: str, expires: str, days: int | None) -> str:
    if bool(expires) == (days is not None):
        raise LicenceError("give exactly one of --expires and --days")
    return expires or format_time(_time("--not-before", begin) + (days or 0) * _DAY)


def _time(option: str, text: str) -> float:
    try:
        return parse_time(text)
    except ValueError as error:
        raise LicenceError(f"{option}: {error}") from None


def _print(signed: SignedFile, document: LicenseDocument) -> None:
    grace = f", streams start until {format_time(grace_ends(document))}" if document.grace_days else ""
    typer.echo(f"licensee        {document.licensee}")
    typer.echo(f"streams         {document.max_streams}")
    typer.echo(f"recorded files  {'count, too' if document.count_recorded else 'do not count'}")
    typer.echo(f"steps           {', '.join(document.features) or 'all'}")
    typer.echo(f"valid           {document.not_before} to {document.expires}{grace}")
    typer.echo(f"key             {signed.key_id or 'not named'}")
