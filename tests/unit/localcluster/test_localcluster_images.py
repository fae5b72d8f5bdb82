"""Images: what decides that one is built anew, and what of the machine goes into a build."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from localcluster.errors import LocalClusterError
from localcluster.images.build import build_options
from localcluster.images.containerd import label_value
from localcluster.images.digest import input_digest
from localcluster.images.hostsettings import Mount, apt_conf, debian_sources, pip_conf, pip_settings
from localcluster.images.ignore import context_files, ignore_file, is_ignored, may_skip, parse_rules
from localcluster.images.pause import pause_archive
from localcluster.images.store import (
    Built,
    archive_of,
    check_name,
    find_built,
    full_name,
    load_built,
    read_built,
    write_built,
)
from localcluster.layout import Layout


@pytest.mark.parametrize(
    ("rules", "path", "ignored"),
    [
        ("", "a.py", False),
        ("# comment\n\n*.log", "x.log", True),
        ("*.log", "dir/x.log", False),
        ("**/*.log", "dir/x.log", True),
        ("**/*.log", "x.log", True),
        ("dir", "dir/deep/x", True),
        ("/dir/", "dir/x", True),
        ("dir", "dirty/x", False),
        ("*\n!api", "api/a.py", False),
        ("*\n!api", "worker/a.py", True),
        ("*\n!api\n**/__pycache__", "api/x/__pycache__/a.pyc", True),
        ("docs/**/draft?.md", "docs/a/b/draft1.md", True),
        ("docs/**/draft?.md", "docs/draft1.md", True),
        ("docs/**/draft?.md", "docs/draft10.md", False),
        ("[ab].txt", "a.txt", True),
        ("[ab].txt", "c.txt", False),
        ("!x\nx", "x", True),
    ],
)
def test_ignore_rules(rules: str, path: str, ignored: bool) -> None:
    assert is_ignored(path, parse_rules(rules)) is ignored


@pytest.mark.parametrize(
    ("rules", "directory", "skipped"),
    [
        (".venv", ".venv", True),
        ("*\n!api", ".venv", True),
        ("*\n!locks/*.txt", "locks", False),
        ("*\n!a/b", "a", False),
        ("*\n!a/b", "ab", True),
        ("*\n!**/keep", "other", False),
        ("*\n!a", "a", False),
    ],
)
def test_large_ignored_directories_are_not_walked(rules: str, directory: str, skipped: bool) -> None:
    assert may_skip(directory, parse_rules(rules)) is skipped


@pytest.fixture
def context(tmp_path: Path) -> Path:
    directory = tmp_path / "context"
    (directory / "app").mkdir(parents=True)
    (directory / "app" / "main.py").write_text("print(1)\n")
    (directory / "notes.log").write_text("noise\n")
    (directory / "link").symlink_to("app/main.py")
    (directory / ".dockerignore").write_text("*.log\n.dockerignore\n")
    (directory / "Dockerfile").write_text("FROM scratch\n")
    return directory


def digest(context: Path, arguments: dict[str, str] | None = None, base: str = "sha256:1") -> str:
    return input_digest(context / "Dockerfile", context, arguments or {}, base)


def test_files_of_the_context(context: Path) -> None:
    rules = parse_rules((context / ".dockerignore").read_text())
    assert sorted(context_files(context, rules)) == ["Dockerfile", "app/main.py", "link"]


def test_an_ignored_file_changes_nothing(context: Path) -> None:
    before = digest(context)
    (context / "notes.log").write_text("other noise\n")
    assert digest(context) == before


def test_times_change_nothing_but_the_executable_bit_does(context: Path) -> None:
    before = digest(context)
    (context / "app" / "main.py").touch()
    assert digest(context) == before
    (context / "app" / "main.py").chmod(0o755)
    assert digest(context) != before


def test_every_kind_of_change_shows(context: Path) -> None:
    seen = {digest(context), digest(context, {"A": "1"}), digest(context, {"A": "2"}), digest(context, base="sha256:2")}
    (context / "app" / "main.py").write_text("print(2)\n")
    seen.add(digest(context))
    (context / "app" / "main.py").rename(context / "app" / "other.py")
    seen.add(digest(context))
    (context / "link").unlink()
    (context / "link").symlink_to("app/other.py")
    seen.add(digest(context))
    (context / "Dockerfile").write_text("FROM scratch\nUSER 1\n")
    seen.add(digest(context))
    assert len(seen) == 8


def test_a_file_split_in_two_is_another_context(tmp_path: Path) -> None:
    digests = set()
    for name, files in (("one", {"ab": "c"}), ("two", {"a": "bc"}), ("three", {"a": "b", "c": ""})):
        directory = tmp_path / name
        directory.mkdir()
        for file, text in files.items():
            (directory / file).write_text(text)
        (tmp_path / "Dockerfile").write_text("FROM scratch\n")
        digests.add(input_digest(tmp_path / "Dockerfile", directory, {}, ""))
    assert len(digests) == 3


def test_the_ignore_file_beside_the_dockerfile_comes_first(context: Path) -> None:
    assert ignore_file(context / "Dockerfile", context) == context / ".dockerignore"
    own = context / "Dockerfile.dockerignore"
    own.write_text("app\n")
    assert ignore_file(context / "Dockerfile", context) == own


def test_build_options_carry_arguments_and_mounts(context: Path) -> None:
    mounts = [Mount(Path("/cache/apt"), "/etc/apt")]
    options = build_options("localhost/a:1", context / "Dockerfile", context, {"B": "2", "A": "1"}, mounts)
    assert options[-1] == str(context)
    assert [options[at + 1] for at, word in enumerate(options) if word == "--build-arg"] == ["A=1", "B=2"]
    assert options[options.index("--volume") + 1] == "/cache/apt:/etc/apt:ro"
    assert options[options.index("--ignorefile") + 1] == str(context / ".dockerignore")


@pytest.mark.parametrize(
    "name", ["app:dev", "registry.example/app:dev", "localhost", "localhost/App:dev", "localhost/:x"]
)
def test_names_that_a_registry_could_answer_for_are_refused(name: str) -> None:
    with pytest.raises(LocalClusterError, match="localhost/NAME:TAG"):
        check_name(name)


def test_without_a_tag_the_content_makes_it() -> None:
    image_id = "sha256:0123456789abcdef"
    assert full_name("localhost/app", image_id) == "localhost/app:0123456789ab"
    assert full_name("localhost/app:dev", image_id) == "localhost/app:dev"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    (tmp_path / "images").mkdir()
    return Layout(tmp_path, tmp_path / "state", "1.36.3")


def test_a_record_without_its_archive_does_not_count(layout: Layout) -> None:
    built = Built("localhost/videofleet/app:dev", "inputs", "sha256:1")
    write_built(layout, built.name, built)
    assert read_built(layout, built.name) is None
    archive_of(layout, built.name).write_bytes(b"archive")
    assert read_built(layout, built.name) == built


def test_an_image_is_found_by_what_the_build_printed_and_by_what_was_asked_for(layout: Layout) -> None:
    built = Built("localhost/app:0123456789ab", "inputs", "sha256:0123456789abcdef")
    write_built(layout, "localhost/app", built)
    archive = archive_of(layout, "localhost/app")
    archive.write_bytes(b"archive")
    assert find_built(layout, "localhost/app") == (built, archive)
    assert find_built(layout, "localhost/app:0123456789ab") == (built, archive)
    with pytest.raises(LocalClusterError, match="localhost/app:older is not the latest image built here"):
        find_built(layout, "localhost/app:older")


def test_loading_needs_a_cluster(layout: Layout) -> None:
    write_built(layout, "localhost/app", Built("localhost/app:1", "inputs", "sha256:1"))
    archive_of(layout, "localhost/app").write_bytes(b"archive")
    with pytest.raises(LocalClusterError, match="there is no cluster to load into"):
        load_built(layout, "native", "localhost/app")


def test_the_image_id_is_read_from_the_labels() -> None:
    header = "REF TYPE DIGEST SIZE PLATFORMS LABELS\n"
    labels = "io.cri-containerd.image=managed,videofleet.local/image-id=sha256:0af1"
    assert label_value(f"{header}localhost/a:1 t sha256:99 1 MiB linux/amd64 {labels}\n") == "sha256:0af1"
    assert label_value(header) is None


def test_the_pause_image_is_the_same_every_time_and_holds_the_program() -> None:
    image_id, content = pause_archive(b"program", "amd64")
    assert pause_archive(b"program", "amd64") == (image_id, content)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        manifest = json.load(archive.extractfile("manifest.json") or io.BytesIO())
        layer = archive.extractfile(manifest[0]["Layers"][0])
        assert layer is not None
        with tarfile.open(fileobj=layer) as inside:
            assert (inside.getnames(), inside.getmember("pause").mode) == (["pause"], 0o755)
    assert manifest[0]["Config"] == image_id.removeprefix("sha256:") + ".json"


DEB822 = """\
# a comment
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main

Types: deb
URIs: http://vendor.example/apt
Suites: bookworm
Components: stable

Types: deb
Enabled: no
URIs: http://mirror.example/backports
Suites: bookworm-backports
Components: main
"""


def test_only_the_debian_mirrors_go_into_a_build(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "debian.sources").write_text(DEB822)
    (tmp_path / "sources.list.d" / "old.list.disabled").write_text("deb http://mirror.example/x bookworm main\n")
    (tmp_path / "sources.list").write_text(
        "deb [arch=amd64] http://mirror.example/security bookworm-security main contrib\n"
        "deb http://vendor.example/apt bookworm stable\n"
        "deb http://mirror.example/debian trixie main\n"
        "deb-src http://mirror.example/debian bookworm main\n"
    )
    found = dict(debian_sources(tmp_path, "bookworm"))
    assert found["sources.list"] == "deb [arch=amd64] http://mirror.example/security bookworm-security main contrib\n"
    assert "mirror.example/debian" in found["debian.sources"]
    assert "vendor.example" not in found["debian.sources"]
    assert "backports" not in found["debian.sources"]
    assert set(found) == {"sources.list", "debian.sources"}


def test_proxies_go_into_a_build_and_hooks_do_not() -> None:
    dumped = (
        'Acquire::http::Proxy "http://proxy.example:3128";\nDPkg::Post-Invoke:: "rm -rf /";\nAcquire::Retries "3";\n'
    )
    lines = apt_conf(dumped).splitlines()
    assert 'Acquire::http::Proxy "http://proxy.example:3128";' in lines
    assert 'Acquire::Retries "3";' in lines
    assert not any("Post-Invoke" in line for line in lines)


def test_pip_settings_come_from_files_and_the_environment(tmp_path: Path) -> None:
    own = tmp_path / "pip.conf"
    own.write_text("[global]\nindex-url = http://index.example/simple\ntimeout = 10\n")
    found = pip_settings({"PIP_CONFIG_FILE": str(own), "PIP_TIMEOUT": "99", "HOME": str(tmp_path)})
    assert found["index-url"] == "http://index.example/simple"
    assert found["timeout"] == "99"
    assert "config-file" not in found


def test_pip_settings_without_a_home_are_those_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".config/pip").mkdir(parents=True)
    (tmp_path / ".config/pip/pip.conf").write_text("[global]\nretries = 7\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert pip_settings({})["retries"] == "7"


def test_paths_of_the_machine_are_replaced_in_pip_conf() -> None:
    text = pip_conf({"cert": "/etc/own.pem", "cache-dir": "/home/x", "index-url": "http://index.example/simple"})
    assert "/etc/own.pem" not in text
    assert "cache-dir = /run/videofleet-build/pip-cache\n" in text
    assert "index-url = http://index.example/simple\n" in text
