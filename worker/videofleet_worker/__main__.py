"""`python -m videofleet_worker`: run a worker until SIGTERM."""

import asyncio
import logging
import sys
from typing import Final

from videofleet_api.environment import ConfigError
from videofleet_archive.errors import ArchiveError
from videofleet_worker.app import run_worker
from videofleet_worker.config import load_settings
from videofleet_worker.decode.forkserver import prepare_forkserver
from videofleet_worker.device.health import DeviceLostError
from videofleet_worker.logs import Secrets, leave_word, set_up_logs
from videofleet_worker.models.engines import ModelDoesNotRunError
from videofleet_worker.models.manifest import ModelFolderError
from videofleet_worker.server.tls import TlsFilesError

_LOGGER: Final = logging.getLogger("videofleet_worker")


def main() -> int:
    """Exit code 0 after SIGTERM, 2 where the worker cannot start as it is set up, 3 where it lost its GPU."""
    # Before anything secret is read: the decoding processes are copies of this one's child.
    forkserver = prepare_forkserver()
    secrets = Secrets()
    set_up_logs("INFO", secrets)
    try:
        settings = load_settings()
        set_up_logs(settings.log_level, secrets)
        asyncio.run(run_worker(settings, secrets))
    except (ConfigError, TlsFilesError, ModelFolderError, ModelDoesNotRunError, ArchiveError) as error:
        _LOGGER.error("cannot start: %s", error)
        leave_word(secrets.redact(f"cannot start: {error}"))
        return 2
    except DeviceLostError as error:
        _LOGGER.error("ended: %s", error)
        leave_word(secrets.redact(f"ended: {error}"))
        return 3
    finally:
        forkserver.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
