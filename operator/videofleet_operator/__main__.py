"""`python -m videofleet_operator`: run one replica of the operator until it is told to stop."""

import asyncio
import logging
import sys

from videofleet_api.environment import ConfigError
from videofleet_operator import config, logs
from videofleet_operator.handlers.alone import kopf
from videofleet_operator.handlers.shell import register
from videofleet_operator.services.licences import load_keys

log = logging.getLogger("videofleet_operator")


async def run(settings: config.Config) -> int:
    """Run kopf with our handlers; returns the exit code."""
    stop = asyncio.Event()
    failures: list[str] = []

    def failed(why: str) -> None:
        log.critical("cannot go on", extra={"why": why})
        failures.append(why)
        stop.set()

    registry = kopf.OperatorRegistry()
    # kopf gives the tasks that are left five seconds to end, and one of them is its own, which waits for this flag.
    register(registry, settings, failed, stopped=stop.set)
    # kopf watches nothing of ours; the namespace only tells it where it may look.
    await kopf.operator(registry=registry, standalone=True, namespaces=[settings.namespace], stop_flag=stop)
    return 1 if failures else 0


def main() -> int:
    """Read the environment and run."""
    try:
        settings = config.load()
        # Looked at before anything starts, for the same plain answer as to any other setting.
        load_keys(settings.licence_public_keys)
    except ConfigError as error:
        print(f"videofleet-operator: {error}", file=sys.stderr)
        return 2
    logs.configure(settings.log_level)
    return asyncio.run(run(settings))


if __name__ == "__main__":
    sys.exit(main())
