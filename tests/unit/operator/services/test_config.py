"""Settings from the environment."""

import pytest

from videofleet_api.environment import ConfigError
from videofleet_operator.config import load

NEEDED = {
    "VIDEOFLEET_NAMESPACE": "video",
    "VIDEOFLEET_IDENTITY": "one",
    "VIDEOFLEET_WORKER_IMAGE": "localhost/worker:1",
}


def test_defaults_and_given_values() -> None:
    config = load({**NEEDED, "VIDEOFLEET_NAMESPACES": " a, b ,", "VIDEOFLEET_LICENCE_REQUIRED": "true", "OTHER": "x"})
    assert config.namespaces == ("a", "b")
    assert config.licence_required is True
    assert (config.listen_port, config.lease_name, config.lease_duration) == (8080, "videofleet-operator", 15)
    assert load(NEEDED).namespaces == ()


def test_an_empty_value_is_as_none() -> None:
    """A chart writes every variable, whether it has a value or not."""
    assert load({**NEEDED, "VIDEOFLEET_LICENCE_PUBLIC_KEYS": "", "VIDEOFLEET_LOG_LEVEL": ""}).log_level == "INFO"


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("VIDEOFLEET_LISTEN_PORT", "80000", "less than or equal to 65535"),
        ("VIDEOFLEET_LISTEN_PORT", "http", "integer"),
        ("VIDEOFLEET_LOG_LEVEL", "LOUD", "DEBUG|INFO|WARNING|ERROR"),
        ("VIDEOFLEET_LEASE_DURATION", "1", "greater than or equal to 3"),
        ("VIDEOFLEET_LICENCE_REQUIRED", "perhaps", "boolean"),
        ("VIDEOFLEET_SOURCE_START_BURST", "0", "greater than or equal to 1"),
        ("VIDEOFLEET_SOURCE_STARTS_PER_SECOND", "0", "greater than 0"),
        ("VIDEOFLEET_NAMESPACE", "", "required"),
    ],
)
def test_an_error_names_the_variable_its_value_and_what_would_be_right(name: str, value: str, right: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load({**NEEDED, name: value})
    assert f"{name}={value!r}: " in str(caught.value)
    assert right in str(caught.value)


def test_all_errors_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        load({"VIDEOFLEET_LISTEN_PORT": "-1"})
    told = str(caught.value)
    assert all(f"VIDEOFLEET_{name}=" in told for name in ("NAMESPACE", "IDENTITY", "WORKER_IMAGE", "LISTEN_PORT"))
