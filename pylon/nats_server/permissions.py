"""NATS users and their permissions, generated from the settings of the deployment.

All permissions follow two rules. A user may publish only on request subjects that contain its own
authority. And only workers may use JetStream: NATS does not check the reply subject of a request,
so that a user with access to JetStream could have replies delivered to any subject, such as
`$JS.API.STREAM.PURGE.…` or the subject of an event.
"""

import json
import re
import string
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pydantic import SecretStr

from pylon.common.deployment_settings import DeploymentSettings
from pylon_client.contract.subjects import (
    ALL_EVENTS,
    ALL_IDENTITIES,
    ALL_JOB_EVENTS,
    ALL_OPEN,
    ALL_REPLAYS,
    ALL_SIGNER_EVENTS,
    BRIDGE_USER,
    OPEN_USER,
    READER_USER,
    WORKER_USER,
    identity_job_events,
    identity_requests,
    inbox_prefix,
)
from pylon_client.contract.topology import EVENT_SUBJECTS, JOB_QUEUE, JOB_STORE, LEADERSHIP, LEASES
from pylon_client.contract.types import IdentityName

AUTHORIZATION_TIMEOUT_S: Final = 3
"""Seconds within which a client must authenticate."""
MAX_TOKEN_CHARS: Final = 512
"""Maximum length of a token as JSON: the CONNECT line must fit into `MAX_CONTROL_LINE_BYTES`."""
SERVICE_DISCOVERY: Final = "$SRV.>"
JETSTREAM_API: Final = "$JS.API.>"
JETSTREAM_ACKS: Final = "$JS.ACK.>"
ALL_INBOXES: Final = "_INBOX.>"

_UNESCAPED = frozenset((string.ascii_letters + string.digits + "._-*>$ ").encode())
_BCRYPT_PREFIX = re.compile(r"\$2[abxy]\$")


class PermissionsError(ValueError):
    """Settings that do not result in safe users; the text names them, but not their values."""


@dataclass(frozen=True, slots=True)
class NatsUser:
    """A user of NATS, with the subjects that it may use; all others are denied."""

    name: str
    password: SecretStr
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    publish_deny: tuple[str, ...] = ()


def nats_users(settings: DeploymentSettings) -> list[NatsUser]:
    """Return every user of a deployment: worker, bridge, open, and one per identity.

    Readers have a separate user if its password is set.

    Raises:
        PermissionsError: the password of the worker or of the bridge is empty.
    """
    for variable, password in (
        ("PYLON_NATS_WORKER_PASSWORD", settings.nats_worker_password),
        ("PYLON_NATS_BRIDGE_PASSWORD", settings.nats_bridge_password),
    ):
        if not password.get_secret_value():
            raise PermissionsError(f"{variable} is empty: any client could connect as that user")
    return [
        _worker_user(settings.nats_worker_password),
        _bridge_user(settings.nats_bridge_password),
        *_reader_users(settings.nats_reader_password),
        _open_user(settings.open_access_token),
        *(_identity_user(name, of.token) for name, of in settings.identities_with_tokens.items()),
    ]


def authorization_config(settings: DeploymentSettings) -> str:
    """Return the users of a nats-server's configuration.

    The text contains every token and is as secret as they are.

    Raises:
        PermissionsError: the settings do not result in safe users.
    """
    text = authorization_block(nats_users(settings))
    if not settings.open_access_token.get_secret_value():
        text += f"no_auth_user: {quoted(OPEN_USER)}\n"
    return text


def authorization_block(users: Iterable[NatsUser]) -> str:
    """Return the `authorization { … }` block of a nats-server's configuration.

    Raises:
        PermissionsError: nats-server does not accept a password.
    """
    return "\n".join(
        [
            "authorization {",
            f"  timeout: {AUTHORIZATION_TIMEOUT_S}",
            "  users: [",
            *(_user_block(user) for user in users),
            "  ]",
            "}",
            "",
        ]
    )


def _worker_user(password: SecretStr) -> NatsUser:
    return NatsUser(
        WORKER_USER,
        password,
        publish=(
            ALL_INBOXES,
            ALL_EVENTS,
            JETSTREAM_API,
            JETSTREAM_ACKS,
            *JOB_QUEUE.subjects,
            *JOB_STORE.subjects,
            *LEASES.subjects,
            *LEADERSHIP.subjects,
        ),
        # A caller chooses the reply subject of its request, and must not make a worker send
        # requests as another identity.
        publish_deny=(ALL_IDENTITIES,),
        subscribe=(
            _inbox(WORKER_USER),
            ALL_OPEN,
            ALL_IDENTITIES,
            ALL_REPLAYS,
            ALL_EVENTS,
            SERVICE_DISCOVERY,
        ),
    )


def _reader_users(password: SecretStr) -> list[NatsUser]:
    """Return the user of readers, which has no access to JetStream and cannot store anything."""
    if not password.get_secret_value():
        return []
    return [
        NatsUser(
            READER_USER,
            password,
            publish=(ALL_INBOXES, ALL_REPLAYS),
            publish_deny=(_inbox(WORKER_USER),),
            subscribe=(
                _inbox(READER_USER),
                ALL_OPEN,
                ALL_IDENTITIES,
                *EVENT_SUBJECTS,
                ALL_SIGNER_EVENTS,
                SERVICE_DISCOVERY,
            ),
        )
    ]


def _bridge_user(password: SecretStr) -> NatsUser:
    return NatsUser(
        BRIDGE_USER,
        password,
        publish=(ALL_OPEN, ALL_IDENTITIES, SERVICE_DISCOVERY),
        subscribe=(_inbox(BRIDGE_USER), *EVENT_SUBJECTS, ALL_JOB_EVENTS),
    )


def _open_user(password: SecretStr) -> NatsUser:
    return NatsUser(
        OPEN_USER,
        password,
        publish=(ALL_OPEN,),
        subscribe=(_inbox(OPEN_USER), *EVENT_SUBJECTS),
    )


def _identity_user(name: IdentityName, token: SecretStr) -> NatsUser:
    return NatsUser(
        name,
        token,
        publish=(ALL_OPEN, identity_requests(name)),
        subscribe=(_inbox(name), *EVENT_SUBJECTS, identity_job_events(name)),
    )


def _inbox(user: str) -> str:
    return f"{inbox_prefix(user)}.>"


def _user_block(user: NatsUser) -> str:
    never = [f"          deny: {_subject_list(user.publish_deny)}"] if user.publish_deny else []
    return "\n".join(
        [
            "    {",
            f"      user: {quoted(user.name)}",
            f"      password: {_checked_password(user)}",
            "      permissions: {",
            "        publish: {",
            f"          allow: {_subject_list(user.publish)}",
            *never,
            "        }",
            "        subscribe: {",
            f"          allow: {_subject_list(user.subscribe)}",
            "        }",
            "      }",
            "    }",
        ]
    )


def _subject_list(subjects: tuple[str, ...]) -> str:
    return f"[{', '.join(map(quoted, subjects))}]"


def _checked_password(user: NatsUser) -> str:
    text = user.password.get_secret_value()
    if _BCRYPT_PREFIX.match(text):
        raise PermissionsError(
            f"the token of {user.name!r} looks like a bcrypt hash, and nats-server would use it as "
            "one: choose another token"
        )
    if len(json.dumps(text)) > MAX_TOKEN_CHARS:
        raise PermissionsError(
            f"the token of {user.name!r} is too long for nats-server: it has at most "
            f"{MAX_TOKEN_CHARS - 2} characters"
        )
    try:
        return quoted(text)
    except UnicodeEncodeError:
        raise PermissionsError(f"the token of {user.name!r} is not valid text") from None


def quoted(text: str) -> str:
    """Return a string of nats-server's configuration; bytes with a meaning in it are escaped."""
    escaped = (chr(byte) if byte in _UNESCAPED else f"\\x{byte:02x}" for byte in text.encode())
    return f'"{"".join(escaped)}"'
