"""What holds for every suite."""

pytest_plugins = ["tests.support.acceptance"]
