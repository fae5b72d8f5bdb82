"""The flags that every command takes, as kubectl names them."""

import functools
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, get_type_hints

import typer

from kubectl_videojob.cluster import Cluster

OPERATOR_VARIABLE: Final = "VIDEOFLEET_OPERATOR"


@dataclass(frozen=True)
class Flags:
    """What was given."""

    namespace: str | None = None
    context: str | None = None
    kubeconfig: str | None = None
    operator: str | None = None
    """Where the operator is: a URL, or NAMESPACE/SERVICE; None: it is looked for."""

    @functools.cached_property
    def cluster(self) -> Cluster:
        """The cluster that they name."""
        return Cluster.connect(self.kubeconfig, self.context, self.namespace)


def _options(
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Namespace; that of the context without it.")
    ] = None,
    context: Annotated[str | None, typer.Option(help="Context of the kubeconfig.")] = None,
    kubeconfig: Annotated[str | None, typer.Option(help="Path of the kubeconfig; $KUBECONFIG without it.")] = None,
    operator: Annotated[
        str | None,
        typer.Option(
            help="Where the operator is: NAMESPACE/SERVICE, or a URL such as http://127.0.0.1:8080 after "
            f"`kubectl port-forward`; ${OPERATOR_VARIABLE}, or what is found, without it."
        ),
    ] = None,
) -> None:
    """Only its signature is used."""


def with_flags(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose first parameter is `flags: Flags`; on the command line it has the flags themselves."""
    shared, own = inspect.signature(_options).parameters, inspect.signature(command).parameters
    mine = [each for each in own.values() if each.name != "flags"]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        values = {name: given.pop(name) for name in shared}
        values["operator"] = values["operator"] or os.environ.get(OPERATOR_VARIABLE) or None
        command(Flags(**values), **given)

    parameters = [*mine, *shared.values()]
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # typer reads it, mypy does not know it
        [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters]
    )
    hints = get_type_hints(command, include_extras=True) | get_type_hints(_options, include_extras=True)
    run.__annotations__ = {each.name: hints[each.name] for each in parameters}
    return run
