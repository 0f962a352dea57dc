"""OpenAPI schemas of the server-sent events."""

from collections.abc import Mapping
from typing import Any, Final

_NUMBER: Final = {"type": "integer", "minimum": 0}
_TEXT: Final = {"type": "string"}


def event_docs(
    name: str, data: Mapping[str, Any], *, with_id: bool = False, with_retry: bool = False
) -> dict[str, Any]:
    """Return the schema of one event type.

    Args:
        name: name of the event.
        data: JSON schema of its data.
        with_id: whether it has an id.
        with_retry: whether it has a reconnection time.
    """
    carried = {**_TEXT, "contentMediaType": "application/json", "contentSchema": data}
    fields: dict[str, Any] = {"event": {"const": name}, "data": carried}
    if with_id:
        fields["id"] = {**_TEXT, "pattern": "^[0-9]+$"}
    if with_retry:
        fields["retry"] = _NUMBER
    return _object(**fields)


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


MISSED_DOCS: Final = event_docs(
    "missed", _object(after_block_number=_NUMBER, before_block_number=_NUMBER, detail=_TEXT)
)
CLOSING_DOCS: Final = event_docs("closing", _object(detail=_TEXT), with_retry=True)
