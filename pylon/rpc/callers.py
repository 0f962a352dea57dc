"""The caller of a request: its share of the capacity, and the reply subjects that it may name."""

import re
from collections.abc import Mapping
from typing import Final

from pylon.common.admission import OPEN_CALLER
from pylon_client.contract.subjects import (
    BRIDGE_USER,
    READER_USER,
    REPLAY_PREFIX,
    SERVER_USERS,
    inbox_prefix,
)
from pylon_client.contract.types import IdentityName, NetUid

_INBOX: Final = re.compile(r"_INBOX(?:\.(?:(?![.*>])[!-~])+)+")


def is_valid_reply_subject(subject: str, reply: str) -> bool:
    """Return whether a reply to `reply` reaches the caller of the request's subject, or the bridge.

    A caller may name any subject for the reply. A worker, or JetStream, could thus be made to
    publish its reply on another identity's request subjects or on JetStream's own API. A reply
    subject must therefore be an inbox, and for an identity an inbox of that identity. Reply
    subjects with wildcards or empty tokens are rejected: the server may refuse them.

    An inbox of a worker is never accepted. A worker receives replies of JetStream there, and would
    take its own reply to a caller for one of those. A reader does not use JetStream; its inboxes
    receive replays, which only readers may request.

    An open request may name any other inbox, since its subject names no caller. The worst case is a
    public reply at an inbox that does not expect it, which may be the bridge's. The inbox of a
    pending request contains two random parts of 128 bits, one per connection and one per request,
    and a client drops unexpected replies.
    """
    if not _INBOX.fullmatch(reply):
        return False
    if subject.startswith(f"{REPLAY_PREFIX}."):
        return reply.startswith(f"{inbox_prefix(READER_USER)}.")
    if reply.split(".", 2)[1] in SERVER_USERS:
        return False
    match subject.split(".", 4):
        case ["pylon", "v1", "identity", name, _]:
            return reply.startswith((f"{inbox_prefix(name)}.", f"{inbox_prefix(BRIDGE_USER)}."))
        case _:
            return True


def caller_of(subject: str, identities: Mapping[IdentityName, NetUid]) -> str:
    """Return the caller whose share a request uses: its identity, the readers, or open access.

    A request for an identity that is not configured is rejected later, and uses the share of open
    access.
    """
    match subject.split(".", 4):
        case ["pylon", "v1", "identity", name, _] if name in identities:
            return name
        case ["pylon", "v1", "replay", *_]:
            return READER_USER
        case _:
            return OPEN_CALLER
