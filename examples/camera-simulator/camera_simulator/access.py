"""Who may watch what: users, roles and the permissions of a mount."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from .gst import GstRtsp, GstRtspServer


class Role(StrEnum):
    """The roles that a client of the RTSP server can have."""

    ANYONE = "anyone"  # no credentials shown
    CAMERA = "camera"  # the credentials of the protected camera
    ROTATED = "rotated"  # the credentials that a camera asks for while its password is "wrong"


class AuthScheme(StrEnum):
    """How the server asks a client for credentials."""

    BASIC = "basic"
    DIGEST = "digest"


@dataclass(frozen=True)
class Credentials:
    """A user and its password; the password is kept out of representations, and so out of logs."""

    user: str
    password: str = field(repr=False)


def make_auth(scheme: AuthScheme, users: dict[Role, Credentials]) -> Any:
    """A Gst RTSPAuth that knows `users` and lets everyone else in as Role.ANYONE."""
    auth = GstRtspServer.RTSPAuth.new()
    for role, credentials in users.items():
        match scheme:
            case AuthScheme.BASIC:
                auth.set_supported_methods(GstRtsp.RTSPAuthMethod.BASIC)
                basic = GstRtspServer.RTSPAuth.make_basic(credentials.user, credentials.password)
                auth.add_basic(basic, _token(role))
            case AuthScheme.DIGEST:
                auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
                auth.add_digest(credentials.user, credentials.password, _token(role))
    auth.set_default_token(_token(Role.ANYONE))
    return auth


def permissions_for(allowed: frozenset[Role]) -> Any:
    """Permissions that let `allowed` watch and answer 401 to everyone else.

    A role without access would be told 404, as if there were no such camera; one with access but without the right
    to construct is told 401 and how to log in.
    """
    permissions = GstRtspServer.RTSPPermissions.new()
    for role in Role:
        permissions.add_role(role.value)
        permissions.add_permission_for_role(role.value, "media.factory.access", True)
        permissions.add_permission_for_role(role.value, "media.factory.construct", role in allowed)
    return permissions


def _token(role: Role) -> Any:
    token = GstRtspServer.RTSPToken.new()
    token.set_string("media.factory.role", role.value)
    return token
