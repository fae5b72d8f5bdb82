"""The command line: ``python3 -m localcluster COMMAND``."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from localcluster import backends
from localcluster.console import say
from localcluster.errors import LocalClusterError
from localcluster.layout import current_layout


def parser() -> argparse.ArgumentParser:
    """Every command and its options."""
    top = argparse.ArgumentParser(prog="python3 -m localcluster", description="A real Kubernetes on this machine.")
    commands = top.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="bring the cluster up; safe to repeat")
    commands.add_parser("down", help="remove the cluster; caches stay")
    commands.add_parser("status", help="what runs and what died; exit code 1 if anything is wrong")
    commands.add_parser("kubeconfig", help="print the path of the administrator's kubeconfig")
    commands.add_parser("kubectl", help="print the path of kubectl, built if need be")
    commands.add_parser("helm", help="print the path of helm, built if need be")
    program = commands.add_parser("program", help="print the path of any other built program, for example etcd")
    program.add_argument("name", metavar="NAME")
    load = commands.add_parser("load-image", help="make a built image known to the cluster")
    load.add_argument("name", metavar="NAME", help="as build-image printed it")
    build = commands.add_parser("build-image", help="build an image unless nothing has changed; prints its full name")
    build.add_argument("name", metavar="NAME", help="localhost/app (the content makes the tag) or localhost/app:tag")
    build.add_argument("--file", type=Path, required=True, help="the Dockerfile")
    build.add_argument("--context", type=Path, required=True, help="the directory that COPY reads from")
    build.add_argument("--build-arg", action="append", default=[], type=key_value, metavar="KEY=VALUE")
    return top


def key_value(text: str) -> tuple[str, str]:
    """``KEY=VALUE`` as a pair."""
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value


def run_command(arguments: argparse.Namespace) -> int:
    """Do what was asked for; returns the exit code."""
    backend = backends.choose(os.environ, current_layout())
    match arguments.command:
        case "up":
            backend.up()
        case "down":
            backend.down()
        case "status":
            text, well = backend.status()
            print(text)
            return 0 if well else 1
        case "kubeconfig":
            print(backend.kubeconfig())
        case "kubectl" | "helm":
            print(backend.tool(arguments.command))
        case "program":
            print(backend.tool(arguments.name))
        case "load-image":
            backend.load_image(arguments.name)
        case "build-image":
            print(backend.build_image(arguments.name, arguments.file, arguments.context, dict(arguments.build_arg)))
    return 0


def main(argv: Sequence[str]) -> int:
    """Parse, run, and turn an expected error into one sentence."""
    arguments = parser().parse_args(argv)
    try:
        return run_command(arguments)
    except LocalClusterError as error:
        say(f"localcluster {arguments.command}: {error}")
        return 1
    except BrokenPipeError:
        # The reader of stdout has gone (`status | head`); nothing more can be said, and Python must not try at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except KeyboardInterrupt:
        say(f"localcluster {arguments.command}: interrupted; running it again goes on from here")
        return 130
