"""videofleet-license: what it writes is what the operator believes."""

import os
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from videofleet_api.videolicense import LicenseDocument
from videofleet_license.app import main
from videofleet_operator.domain.licence import public_keys, verify

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Result:
    """How the program ended and what it said."""

    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Tool:
    """The program, at work in this folder."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def run(self, *arguments: str) -> Result:
        self.monkeypatch.setattr(sys, "argv", ["videofleet-license", *arguments])
        code: object = 0
        try:
            main()
        except SystemExit as end:
            code = end.code
        said = self.capsys.readouterr()
        return Result(int(str(code or 0)), said.out, said.err)

    def must(self, *arguments: str) -> str:
        result = self.run(*arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def refused(self, *arguments: str) -> str:
        result = self.run(*arguments)
        assert result.returncode == 2, result.stdout + result.stderr
        return result.stderr

    def sign(self, *arguments: str) -> str:
        own = ["--key", "vendor.key", "--licensee", "ACME", "--max-streams", "50"]
        return self.must("sign", *own, *arguments)

    def mode(self, name: str) -> int:
        return stat.S_IMODE((self.folder / name).stat().st_mode)


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tool:
    """With the key pair `vendor`."""
    monkeypatch.chdir(tmp_path)
    made = Tool(tmp_path, monkeypatch, capsys)
    made.must("keygen", "vendor")
    return made


def test_it_is_a_program(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("api", "cli"))}
    command = [sys.executable, "-m", "videofleet_license", "show", "nowhere"]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr == "videofleet-license: nowhere cannot be read: No such file or directory\n"


def test_the_operator_believes_what_was_signed(tool: Tool) -> None:
    more = ["--feature", "detect", "--feature", "track", "--no-count-recorded", "--grace-days", "7"]
    signed = tool.sign("--not-before", "2026-01-01T00:00:00Z", "--expires", "2030-01-01T00:00:00Z", *more)
    document = verify(signed.encode(), public_keys((tool.folder / "vendor.pem").read_bytes()))
    assert document == LicenseDocument(
        licensee="ACME",
        max_streams=50,
        features=["detect", "track"],
        count_recorded=False,
        not_before="2026-01-01T00:00:00Z",
        expires="2030-01-01T00:00:00Z",
        grace_days=7,
    )


def test_only_the_owner_reads_the_private_key(tool: Tool) -> None:
    assert (tool.mode("vendor.key"), tool.mode("vendor.pem")) == (0o600, 0o644)


def test_nothing_is_overwritten_unless_that_is_wanted(tool: Tool) -> None:
    before = (tool.folder / "vendor.key").read_bytes()
    (tool.folder / "vendor.pem").unlink()
    assert "vendor.key exist(s)" in tool.refused("keygen", "vendor")
    assert (tool.folder / "vendor.key").read_bytes() == before
    assert not (tool.folder / "vendor.pem").exists(), "nor is the other half of the pair made anew"
    (tool.folder / "vendor.key").chmod(0o644)
    tool.must("keygen", "vendor", "--force")
    assert (tool.folder / "vendor.key").read_bytes() != before
    assert tool.mode("vendor.key") == 0o600
    tool.sign("--days", "1", "--out", "licence.json")
    again = ["--key", "vendor.key", "--licensee", "A", "--max-streams", "1", "--days", "1", "--out", "licence.json"]
    assert "licence.json is there already" in tool.refused("sign", *again)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--expires", "2030-01-01"], "lacks a time zone"),
        (["--expires", "soon"], "'soon' is not an RFC 3339 time"),
        (["--not-before", "2031-01-01T00:00:00Z", "--expires", "2030-01-01T00:00:00Z"], "is not after --not-before"),
        ([], "give exactly one of --expires and --days"),
        (["--days", "1", "--expires", "2030-01-01T00:00:00Z"], "give exactly one of --expires and --days"),
        (["--days", "1", "--max-streams", "-1"], "--max-streams -1: Input should be greater than or equal to 0"),
        (["--days", "1", "--grace-days", "1000"], "--grace-days 1000.0: Input should be less than or equal to 366"),
        (["--days", "1", "--licensee", ""], "--licensee"),
        (["--days", "1", "--key", "vendor.pem"], "vendor.pem holds no private key"),
        (["--days", "1", "--key", "nowhere.key"], "nowhere.key cannot be read: No such file"),
        (["--days", "1", "--out", "no/such/folder"], "no/such/folder cannot be written: No such file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_be_signed_is_named(tool: Tool, arguments: list[str], part: str) -> None:
    own = ["--key", "vendor.key", "--licensee", "ACME", "--max-streams", "50"]
    assert part in tool.refused("sign", *own, *arguments)


@pytest.mark.parametrize(
    ("at", "code", "word"),
    [
        ("2025-12-31T00:00:00Z", 1, "NotYetValid"),
        ("2026-06-01T00:00:00Z", 0, "Verified"),
        ("2027-01-05T00:00:00Z", 0, "InGracePeriod"),
        ("2027-01-08T00:00:00Z", 1, "Expired"),
    ],
)
def test_a_licence_is_judged_as_the_operator_does(tool: Tool, at: str, code: int, word: str) -> None:
    times = ["--not-before", "2026-01-01T00:00:00Z", "--expires", "2027-01-01T00:00:00Z", "--grace-days", "7"]
    tool.sign(*times, "--out", "licence.json")
    result = tool.run("verify", "licence.json", "--public-key", "vendor.pem", "--at", at)
    assert result.returncode == code
    assert result.stdout.splitlines()[-1].startswith(f"{word}: ")


def test_a_licence_of_somebody_else(tool: Tool) -> None:
    tool.sign("--days", "1", "--out", "licence.json")
    tool.must("keygen", "other")
    result = tool.run("verify", "licence.json", "--public-key", "other.pem")
    assert result.returncode == 1
    assert "BadSignature: the licence was signed with the key" in result.stdout
    assert "streams" not in result.stdout, "nothing that a stranger signed is repeated"


def test_a_licence_is_shown_without_a_key(tool: Tool) -> None:
    tool.sign("--days", "1", "--out", "licence.json")
    shown = tool.must("show", "licence.json")
    assert "streams         50" in shown
    assert "steps           all" in shown


def test_a_file_that_is_no_licence(tool: Tool) -> None:
    (tool.folder / "other.json").write_text("{}")
    assert "other.json: no signed licence: JSON with payload and signature" in tool.refused("show", "other.json")
