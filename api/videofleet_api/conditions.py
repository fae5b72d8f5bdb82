"""Conditions of Kubernetes objects."""

from enum import StrEnum

from pydantic import Field

from videofleet_api.model import Document


class ConditionStatus(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Document):
    """metav1.Condition."""

    type: str = Field(max_length=316, description="Name of the condition.")
    status: ConditionStatus = Field(description="True, False or Unknown.")
    observed_generation: int | None = Field(None, ge=0, description="Generation of the spec that this is about.")
    last_transition_time: str = Field(
        description="When the status changed last.", json_schema_extra={"format": "date-time"}
    )
    reason: str = Field(min_length=1, max_length=1024, description="A word for machines.")
    message: str = Field(max_length=32768, description="A sentence for people.")
