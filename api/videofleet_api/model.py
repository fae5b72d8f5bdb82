"""The base of every document: camelCase on the wire, snake_case in Python."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Document(BaseModel):
    """An immutable document. Unknown fields are ignored, so that versions can meet; a missing one is an error."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="ignore",
        use_enum_values=False,
    )

    def wire(self) -> dict[str, object]:
        """The JSON form: camelCase, without what is None."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
