"""The commands, and how they end."""

import os
import signal
import sys
from collections.abc import Sequence

import typer

from kubectl_videojob.commands import license
from kubectl_videojob.commands.drain import drain
from kubectl_videojob.commands.explain import explain
from kubectl_videojob.commands.probe import probe
from kubectl_videojob.commands.submit import submit
from kubectl_videojob.commands.tail import tail
from kubectl_videojob.commands.top import top
from kubectl_videojob.errors import UserError
from kubectl_videojob.flags import with_flags

app = typer.Typer(
    name="kubectl videojob",
    help="Video analytics as Kubernetes objects: explain, follow, submit and move VideoJobs, and try sources.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (explain, tail, top, drain, submit, probe):
    app.command()(with_flags(command))
app.add_typer(license.commands, name="license")


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command (that of the command line without arguments); its exit code.

    What was given and cannot be used is told in one line.
    """
    try:
        app(args=arguments, prog_name="kubectl videojob")
    except UserError as error:
        print(f"kubectl videojob: {error}", file=sys.stderr)
        return error.code
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0


def main() -> None:
    """The program."""
    # As of any filter: who stops reading ends it without a word.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    code = run()
    sys.stdout.flush()
    # Threads may still wait for the server.
    os._exit(code)
