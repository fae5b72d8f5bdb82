"""`python -m videofleet_api.generate FOLDER...`: write the CRDs into each folder, as YAML."""

import sys
from pathlib import Path

import yaml

from videofleet_api.crd import KINDS, Kind, crd

_HEAD = "# Generated from api/videofleet_api by `make generate`; do not edit.\n"


class _Plain(yaml.SafeDumper):
    """Writes a part that stands in several places in full each time: an alias is hard to read."""

    def ignore_aliases(self, data: object) -> bool:
        """True for everything."""
        return True


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
