"""kopf as the shell of the process: login, startup, cleanup. No handler watches a resource.

kopf's own watching costs 20 times what the reflectors cost and never reports what was deleted while it was away;
docs/decisions/0001-kopf-as-the-shell.md has the figures.
"""

from collections.abc import Callable
from typing import Any

from videofleet_operator.config import Config
from videofleet_operator.handlers.alone import kopf
from videofleet_operator.services.application import Application, StartError

_START_RETRY = 2.0
"""Seconds; an API server that is away is mostly back soon."""


def register(
    registry: kopf.OperatorRegistry, config: Config, failed: Callable[[str], None], stopped: Callable[[], None]
) -> None:
    """Put the handlers into a registry; `failed` is called when the operator cannot go on, `stopped` at its end."""

    @kopf.on.login(registry=registry)
    def login(**arguments: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**arguments) or kopf.login_with_kubeconfig(**arguments)

    @kopf.on.startup(registry=registry)
    async def startup(settings: kopf.OperatorSettings, memo: kopf.Memo, **_: Any) -> None:
        settings.posting.enabled = False
        settings.scanning.disabled = True
        application = Application(config, failed)
        try:
            await application.start()
        except StartError as error:
            if error.passing:
                raise kopf.TemporaryError(str(error), delay=_START_RETRY) from error
            # What is raised here kopf would try again every minute, for ever and without a health endpoint.
            failed(str(error))
            return
        memo.application = application

    @kopf.on.cleanup(registry=registry)
    async def cleanup(memo: kopf.Memo, **_: Any) -> None:
        application = memo.get("application")
        if application is not None:
            await application.stop()
        stopped()
