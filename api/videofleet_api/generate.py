"""`python -m videofleet_api.generate FOLDER...`: write the CRDs into each folder, as YAML."""

import re
import sys
from pathlib import Path
from typing import Final

import yaml

from videofleet_api.crd import KINDS, Kind, crd

_HEAD = "# Generated from api/videofleet_api by `make generate`; do not edit.\n"


_NO_TEXT: Final = re.compile(r"y|n|yes|no|on|off|true|false|null|~", re.IGNORECASE)
"""What kubectl, which reads YAML 1.1 to the letter, takes for a boolean or nothing where it is not quoted."""


class _Plain(yaml.SafeDumper):
    """Writes a part that stands in several places in full each time: an alias is hard to read."""

    def ignore_aliases(self, data: object) -> bool:
        """True for everything."""
        return True


def _text(dumper: _Plain, value: str) -> yaml.ScalarNode:
    style = "'" if _NO_TEXT.fullmatch(value) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Plain.add_representer(str, _text)


def render(kind: Kind) -> str:
    """The CRD of a kind as a YAML document."""
    return _HEAD + yaml.dump(crd(kind), Dumper=_Plain, sort_keys=False, allow_unicode=True, width=110)


def main(folders: list[str]) -> int:
    """Write one file a kind into each folder."""
    if not folders:
        print("usage: python -m videofleet_api.generate FOLDER...", file=sys.stderr)
        return 2
    for folder in map(Path, folders):
        folder.mkdir(parents=True, exist_ok=True)
        for kind in KINDS:
            (folder / f"{kind.plural}.yaml").write_text(render(kind), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
