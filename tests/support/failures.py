"""A plugin of pytest: what fails is told as soon as it does, with the command that runs it alone."""

from __future__ import annotations

import os

import pytest


class Failures:
    """Writes to the terminal. One process of a run has it, whichever process runs the tests."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self._terminal = terminal

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.failed:
            return
        self._terminal.write_line(f"\nFAILED in {report.when}: {_reason(report)}", red=True)
        self._terminal.write_line(f"  alone: .venv/bin/python -m pytest '{report.nodeid}'")


def _reason(report: pytest.TestReport) -> str:
    """Where, and the first line of what."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is None:
        return report.longreprtext.strip().splitlines()[-1]
    first = crash.message.splitlines()[:1]
    return f"{os.path.relpath(crash.path)}:{crash.lineno}: {''.join(first)}"


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    # The processes that share a run have one too, which writes nowhere.
    if terminal is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Failures(terminal))
