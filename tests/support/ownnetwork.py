"""A network of a test's own, where packet filter rules and links can be made and are gone afterwards."""

import subprocess
import sys


def in_own_network(program: str, *, before: str = "", after: str = "") -> str:
    """What a Python program, and shell commands before and after it, print as root of a network of their own."""
    script = f"""
set -e
mount -t sysfs sysfs /sys
ip link set lo up
{before}
"$0" -c "$1" 2>&1
{after}
"""
    own = ["unshare", "--net", "--mount", "sh", "-c", script, sys.executable, program]
    return subprocess.run(own, check=True, stdout=subprocess.PIPE, text=True).stdout
