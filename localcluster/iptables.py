"""Removing the packet filter rules of a cluster, worked out from what iptables-save shows."""

import re

# kube-proxy, the CNI's host ports, and our own.
PREFIXES = ("KUBE-", "CNI-", "VIDEOFLEET-")
_CHAIN = re.compile(r"^:(\S+)")
_APPEND = re.compile(r"^-A (\S+) (.*)$")
_TARGET = re.compile(r"(?:^|\s)-[jg] (\S+)")


def _is_ours(chain: str) -> bool:
    return chain.startswith(PREFIXES)


def chains(saved: str) -> set[str]:
    """Names of all chains of a cluster in the output of iptables-save."""
    found = (_CHAIN.match(line) for line in saved.splitlines())
    return {match.group(1) for match in found if match and _is_ours(match.group(1))}


def removal(saved: str) -> str:
    """Input for ``iptables-restore --noflush`` that removes our chains and every jump to them; may be empty.

    Rules of others stay: within their chains only the lines that jump to a chain of ours are deleted.
    """
    script: list[str] = []
    for table in re.split(r"^(?=\*)", saved, flags=re.MULTILINE):
        if table.startswith("*"):
            script += _table_removal(table.splitlines())
    return "\n".join(script) + "\n" if script else ""


def _table_removal(lines: list[str]) -> list[str]:
    ours = sorted(name for name in chains("\n".join(lines)))
    if not ours:
        return []
    jumps = [f"-D {match.group(1)} {match.group(2)}" for match in map(_APPEND.match, lines) if match and _jumps(match)]
    return [lines[0], *(f"-F {name}" for name in ours), *jumps, *(f"-X {name}" for name in ours), "COMMIT"]


def _jumps(rule: re.Match[str]) -> bool:
    target = _TARGET.search(rule.group(2))
    return not _is_ours(rule.group(1)) and target is not None and _is_ours(target.group(1))
