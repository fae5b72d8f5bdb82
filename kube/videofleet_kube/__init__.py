"""The operator's only client of Kubernetes. Nothing in here knows what the objects are for.

Read through a `Reflector`, write through the `WriteQueue`, lead through the `LeaseElector`.
"""

from .cache import Change, ChangeType, Entry, ObjectCache
from .credentials import Credentials, ServerAccess, discover, fixed, from_kubeconfig, in_cluster
from .errors import (
    AlreadyExists,
    ApiError,
    BadRequest,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    PermanentError,
    RetryableError,
    TooManyRequests,
    Unauthorized,
    Unavailable,
)
from .events import EventKind, EventRecorder, EventSettings
from .follower import WatchCounters, WatchSettings
from .kubeconfig import CredentialsError
from .lease import LeaseElector, LeaseTimes
from .merge import apply_merge, merge_diff
from .operations import Create, Delete, Outcome, Patch, Priority, Result, Write
from .reflector import Reflector
from .resources import CONFIGMAPS, EVENTS, LEASES, NODES, PODS, SECRETS, Json, ObjectRef, Resource
from .session import ApiSession
from .throttle import ThrottleSettings
from .writes import WriteCounters, WriteQueue

__all__ = [
    "CONFIGMAPS",
    "EVENTS",
    "LEASES",
    "NODES",
    "PODS",
    "SECRETS",
    "AlreadyExists",
    "ApiError",
    "ApiSession",
    "BadRequest",
    "Change",
    "ChangeType",
    "Conflict",
    "Create",
    "Credentials",
    "CredentialsError",
    "Delete",
    "Entry",
    "EventKind",
    "EventRecorder",
    "EventSettings",
    "Forbidden",
    "Gone",
    "Invalid",
    "Json",
    "LeaseElector",
    "LeaseTimes",
    "NotFound",
    "ObjectCache",
    "ObjectRef",
    "Outcome",
    "Patch",
    "PermanentError",
    "Priority",
    "Reflector",
    "Resource",
    "Result",
    "RetryableError",
    "ServerAccess",
    "ThrottleSettings",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
    "WatchCounters",
    "WatchSettings",
    "Write",
    "WriteCounters",
    "WriteQueue",
    "apply_merge",
    "discover",
    "fixed",
    "from_kubeconfig",
    "in_cluster",
    "merge_diff",
]
