"""The values that decisions are made from and the values that they make."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from videofleet_api.codes import Reason
from videofleet_api.phases import Phase
from videofleet_api.videojob import VideoJobSpec
from videofleet_api.workerpool import WorkerPoolSpec
from videofleet_operator.domain.reports import Report
from videofleet_operator.domain.values import value
