"""The program, and how it ends."""

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from videofleet_clip.errors import FAILED, ClipError

if TYPE_CHECKING:
    import typer

_WORKER: Final = ("videofleet_worker", "av", "onnxruntime", "aiohttp", "obstore", "lap", "simplejpeg", "PIL", "numpy")
_PROGRAM: Final = "videofleet"


def main() -> None:
    """The program."""
    # As of any filter: who stops reading ends it without a word.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(run())


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command (that of the command line without arguments); its exit code.

    What was given and cannot be used, and what went wrong, is told in one line.
    """
    try:
        with _ended_at_once():
            app = _app()
        app(args=arguments, prog_name=_PROGRAM)
    except ClipError as error:
        print(f"{_PROGRAM}: {error}", file=sys.stderr)
        return error.code
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _WORKER:
            raise
        print(f"{_PROGRAM}: {error.name} is missing: pip install 'videofleet-cli[run]'", file=sys.stderr)
        return FAILED
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0


@contextmanager
def _ended_at_once() -> Iterator[None]:
    """While parts are loaded there is nothing to keep: Ctrl-C ends the program as it ends any other, without a word."""
    usual = signal.getsignal(signal.SIGINT)
    if usual is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)


def _app() -> "typer.Typer":
    import typer

    # Its parts come with an extra of the package, which who only asks clusters does without.
    from videofleet_clip.command import run as run_command

    app = typer.Typer(
        name=_PROGRAM,
        help="Video analytics on this machine. For those of a cluster: kubectl videojob.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(lambda: None)
    app.command(name="run")(run_command)
    return app
