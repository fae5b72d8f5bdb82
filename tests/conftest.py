"""What holds for every suite."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.support.acceptance", "tests.support.failures", "tests.support.sharing"]

# Laws hold on a busy machine, too: how long an example takes is nothing that these tests are about.
settings.register_profile("laws", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("laws")
