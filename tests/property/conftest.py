"""Laws hold on a busy machine, too: how long an example takes is nothing that these tests are about."""

from hypothesis import HealthCheck, settings

settings.register_profile("laws", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("laws")
