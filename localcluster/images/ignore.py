"""Which files of a build context count: the rules of .dockerignore.

Rules as the Dockerfile reference gives them: one pattern a line, ``#`` comments, ``!`` takes back, ``**`` crosses
directories, the last match decides, and a pattern that matches a directory covers what is below it.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True)
class Rule:
    """One line: what it matches, whether it takes back what lines before had left out, its part before wildcards."""

    expression: re.Pattern[str]
    takes_back: bool
    literal: str


def _translate(pattern: str) -> re.Pattern[str]:
    out = ""
    at = 0
    while at < len(pattern):
        if pattern.startswith("**/", at):
            out, at = out + "(?:.*/)?", at + 3
        elif pattern.startswith("**", at):
            out, at = out + ".*", at + 2
        elif pattern[at] == "*":
            out, at = out + "[^/]*", at + 1
        elif pattern[at] == "?":
            out, at = out + "[^/]", at + 1
        elif pattern[at] == "[" and "]" in pattern[at:]:
            end = pattern.index("]", at)
            out, at = out + pattern[at : end + 1], end + 1
        else:
            out, at = out + re.escape(pattern[at]), at + 1
    # What lies below a matched directory is matched as well.
    return re.compile(f"{out}(?:/.*)?", re.DOTALL)


def parse_rules(text: str) -> list[Rule]:
    """The rules of a .dockerignore file, in order."""
    rules = []
    for raw in text.splitlines():
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        takes_back = line.startswith("!")
        pattern = str(PurePosixPath("/" + line.lstrip("!").strip().lstrip("/"))).lstrip("/")
        rules.append(Rule(_translate(pattern), takes_back, _literal(pattern)))
    return rules


def _literal(pattern: str) -> str:
    """The leading path segments that hold no wildcard."""
    segments = pattern.split("/")
    wild = next((at for at, segment in enumerate(segments) if re.search(r"[*?\[]", segment)), len(segments))
    return "/".join(segments[:wild])


def is_ignored(path: str, rules: list[Rule]) -> bool:
    """Whether the rules leave out this path (relative, with slashes)."""
    ignored = False
    for rule in rules:
        if rule.expression.fullmatch(path):
            ignored = not rule.takes_back
    return ignored


def may_skip(directory: str, rules: list[Rule]) -> bool:
    """Whether nothing below the directory can count, so that it need not be walked (.venv and .git are large)."""
    if not is_ignored(directory, rules):
        return False
    literals = [rule.literal for rule in rules if rule.takes_back]
    return not any(
        not literal or f"{literal}/".startswith(f"{directory}/") or directory.startswith(f"{literal}/")
        for literal in literals
    )


def context_files(context: Path, rules: list[Rule]) -> Iterator[str]:
    """Relative paths of all files and links that belong to the context, sorted within each directory."""
    for directory, subdirectories, files in os.walk(context):
        here = Path(directory).relative_to(context)
        relative = {name: (here / name).as_posix() for name in (*subdirectories, *files)}
        links = [name for name in subdirectories if (Path(directory) / name).is_symlink()]
        subdirectories[:] = sorted(name for name in subdirectories if not may_skip(relative[name], rules))
        for name in sorted([*files, *links]):
            if not is_ignored(relative[name], rules):
                yield relative[name]


def ignore_file(dockerfile: Path, context: Path) -> Path | None:
    """``Dockerfile.dockerignore`` beside the Dockerfile, else ``.dockerignore`` of the context."""
    for candidate in (dockerfile.with_name(dockerfile.name + ".dockerignore"), context / ".dockerignore"):
        if candidate.exists():
            return candidate
    return None
