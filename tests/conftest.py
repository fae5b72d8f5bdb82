"""What holds for every suite."""

pytest_plugins = ["tests.support.acceptance", "tests.support.failures", "tests.support.sharing"]
