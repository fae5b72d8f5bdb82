"""CEL rules of a model, which the CRD generator puts beside its schema."""

from pydantic import ConfigDict, JsonValue

from videofleet_api.model import Document


def rules(*pairs: tuple[str, str]) -> ConfigDict:
    """A model configuration with CEL rules, each given as (rule, message)."""
    validations: list[JsonValue] = [{"rule": rule, "message": message} for rule, message in pairs]
    return ConfigDict(**{**Document.model_config, "json_schema_extra": {"x-kubernetes-validations": validations}})
