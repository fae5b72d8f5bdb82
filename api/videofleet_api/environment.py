"""Settings of a part of videofleet: environment variables, VIDEOFLEET_ before the name of each in capitals."""

import os
from collections.abc import Mapping
from typing import Annotated, Final, TypeVar

from pydantic import BaseModel, BeforeValidator, ValidationError

PREFIX: Final = "VIDEOFLEET_"

Settings = TypeVar("Settings", bound=BaseModel)


class ConfigError(Exception):
    """The environment is not usable; the message names the variable, its value and what would be right."""


def _comma_list(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


CommaList = Annotated[tuple[str, ...], BeforeValidator(_comma_list)]


def settings_in(environment: Mapping[str, str] | None, model: type[Settings]) -> Settings:
    """The settings of this model in an environment, in that of the process without one; an empty variable is as none.

    Raises ConfigError, which tells all that is wrong, but no value of a field that is not to be shown (`repr=False`).
    """
    given = os.environ if environment is None else environment
    values = {name: given[_variable(name)] for name in model.model_fields if given.get(_variable(name), "") != ""}
    try:
        return model.model_validate(values)
    except ValidationError as error:
        lines = [f"{_shown(str(one['loc'][0]), values, model)}: {one['msg']}" for one in error.errors()]
        raise ConfigError("; ".join(lines)) from None


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def _shown(name: str, values: Mapping[str, str], model: type[BaseModel]) -> str:
    value = repr(values.get(name, "")) if model.model_fields[name].repr else "(hidden)"
    return f"{_variable(name)}={value}"
