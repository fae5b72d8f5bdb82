"""kopf as the shell of the process: login, startup, cleanup. No handler watches a resource.

kopf's own watching costs 20 times what the reflectors cost and never reports what was deleted while it was away;
docs/decisions/0001-kopf-as-the-shell.md has the figures.
"""

from collections.abc import Callable
from typing import Any

import kopf

from videofleet_operator.config import Config
from videofleet_operator.services.application import Application


def register(registry: kopf.OperatorRegistry, config: Config, failed: Callable[[str], None]) -> None:
    """Put the handlers into a registry; `failed` is called when the operator cannot go on."""

    @kopf.on.login(registry=registry)
    def login(**arguments: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**arguments) or kopf.login_with_kubeconfig(**arguments)

    @kopf.on.startup(registry=registry)
    async def startup(settings: kopf.OperatorSettings, memo: kopf.Memo, **_: Any) -> None:
        settings.posting.enabled = False
        settings.scanning.disabled = True
        memo.application = Application(config, failed)
        await memo.application.start()

    @kopf.on.cleanup(registry=registry)
    async def cleanup(memo: kopf.Memo, **_: Any) -> None:
        application = memo.get("application")
        if application is not None:
            await application.stop()
