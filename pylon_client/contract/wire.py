"""JSON bytes from values and back: the one codec of the wire."""

import json
from typing import Any

import msgspec
from pydantic import BaseModel


def _encode_model(value: object) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} has no place on the wire")


_ENCODER = msgspec.json.Encoder(enc_hook=_encode_model)
_DECODER = msgspec.json.Decoder[Any]()


def encode(value: Any) -> bytes:
    """The JSON of a pydantic model or of plain values, without white space."""
    return _ENCODER.encode(value)


def decode(data: bytes) -> Any:
    """The plain values in JSON bytes.

    Raises:
        ValueError: the bytes are not JSON.
    """
    return _DECODER.decode(data)


def duplicate_keys(data: bytes) -> list[str]:
    """Return the keys that an object in JSON bytes has more than once, each of them once.

    Parsers keep one of their values and say nothing: a weight would count that was overwritten.

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
