"""The JSON codec of all messages."""

import json
from typing import Any

import msgspec
from pydantic import BaseModel


def _encode_model(value: object) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} cannot be encoded as JSON")


_ENCODER = msgspec.json.Encoder(enc_hook=_encode_model)
_DECODER = msgspec.json.Decoder[Any]()


def encode(value: Any) -> bytes:
    """Return the JSON of a pydantic model or of plain values, without white space."""
    return _ENCODER.encode(value)


def decode(data: bytes) -> Any:
    """Return the plain values in JSON bytes.

    Raises:
        ValueError: the bytes are not JSON.
    """
    return _DECODER.decode(data)


def duplicate_keys(data: bytes) -> list[str]:
    """Return the keys that an object in JSON bytes contains more than once.

    JSON parsers silently use one of the values, so that a weight could be overwritten.

    Raises:
        ValueError: the bytes are not JSON.
    """
    repeated: dict[str, None] = {}

    def note(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                repeated[key] = None
            seen.add(key)

    json.loads(data, object_pairs_hook=note)
    return list(repeated)
