"""What a start of the operator loads."""

import subprocess
import sys


def test_the_client_of_kubernetes_is_loaded_only_for_what_needs_it() -> None:
    """It is half of the time that all imports take; kopf would load it for its classes."""
    code = (
        "import sys, videofleet_operator.__main__\n"
        "assert 'kubernetes' not in sys.modules\n"
        "import videofleet_kube.clientconfig\n"
        "assert 'kubernetes' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
