"""Encodes the metadata of the simulated runtime, V15 and V14, from the fact tables."""

from dataclasses import dataclass
from functools import lru_cache

from pylon_devnet.runtime.declaration import (
    ApiMethod,
    Constant,
    Declaration,
    Extension,
    Field,
    Pallet,
    StorageItem,
    Variant,
    load_declaration,
    split_outside_brackets,
)
from pylon_devnet.runtime.runtime_names import NEWEST
from pylon_devnet.runtime.scale_encoding import (
    encode_bytes,
    encode_compact,
    encode_option,
    encode_str,
    encode_u32,
    encode_vector,
)
from pylon_devnet.runtime.type_registry import TypeRegistry

SPEC_NAME = "node-subtensor"
TRANSACTION_VERSION = 1
EXTRINSIC_VERSION = 4

_RUNTIME = "node_subtensor_runtime"
_HASHERS = (
    "Blake2_128", "Blake2_256", "Blake2_128Concat", "Twox128", "Twox256", "Twox64Concat",
    "Identity",
)  # fmt: skip
_WIDTHS = {
    "u8": 1, "u16": 2, "i16": 2, "u32": 4, "u64": 8, "i64": 8, "u128": 16, "i128": 16,
    "NetUid": 2, "PerU16": 2, "MechId": 1, "TaoBalance": 8, "AlphaBalance": 8,
}  # fmt: skip
_PARTS = ("Call", "Event", "Error")
_SIGNED_EXTRA = "SignedExtra"
_ADDRESS, _SIGNATURE = "MultiAddress<AccountId32, ()>", "MultiSignature"
_NO_DOCS = encode_vector(())


@dataclass(frozen=True, slots=True)
class RuntimeMetadata:
    """The metadata of a runtime, and the declaration that it was generated from.

    Attributes:
        encoded: V15 `MetadataVersioned` bytes, including the `meta` magic.
        legacy: V14 bytes, without runtime APIs, for `state_getMetadata`.
        version: SCALE bytes of `RuntimeVersion`.
        declaration: declarations of the runtime.
    """

    encoded: bytes
    legacy: bytes
    version: bytes
    declaration: Declaration


@lru_cache(maxsize=4)
def build_metadata(slot_duration_ms: int, runtime: str = NEWEST) -> RuntimeMetadata:
    """Build the metadata of a chain with blocks every `slot_duration_ms`.

    The slot duration is a constant of the Aura pallet, from which clients read the block time.
    """
    declaration = load_declaration(runtime)
    version = _runtime_version(declaration.spec_version)
    words = {"slot_duration": slot_duration_ms.to_bytes(8, "little"), "version": version}
    writer = _MetadataWriter(declaration, words)
    return RuntimeMetadata(writer.write(), writer.write_legacy(), version, declaration)


def _runtime_version(spec_version: int) -> bytes:
    """Return the SCALE encoded `RuntimeVersion`."""
    return (
        encode_str(SPEC_NAME)
        + encode_str(SPEC_NAME)
        + encode_u32(1)
        + encode_u32(spec_version)
        + encode_u32(1)
        + encode_vector(())
        + encode_u32(TRANSACTION_VERSION)
        + b"\x01"
    )


class _MetadataWriter:
    def __init__(self, declaration: Declaration, placeholders: dict[str, bytes]) -> None:
        self._declaration = declaration
        self._placeholders = placeholders
        self._types = TypeRegistry(declaration)
        for part in _PARTS:
            self._declare_outer(part)
        self._types.declare("Runtime", (_RUNTIME, "Runtime"), [])
        self._extra = _tuple_of([extension.type for extension in declaration.extensions])
        # Some clients read the types of an extrinsic's parts from the parameters of this type.
        self._extrinsic = (
            f"UncheckedExtrinsic<{_ADDRESS}, RuntimeCall, {_SIGNATURE}, {self._extra}>"
        )
        self._types.type_id(self._extrinsic)

    def write(self) -> bytes:
        """Encode metadata V15."""
        number = self._types.type_id
        pallets = encode_vector(
            self._pallet(pallet) + _NO_DOCS for pallet in self._declaration.pallets
        )
        signed = (
            bytes([EXTRINSIC_VERSION])
            + encode_compact(number(_ADDRESS))
            + encode_compact(number("RuntimeCall"))
            + encode_compact(number(_SIGNATURE))
            + encode_compact(number(self._extra))
            + encode_vector(map(self._extension, self._declaration.extensions))
        )
        apis = encode_vector(
            encode_str(name) + encode_vector(map(self._method, methods)) + _NO_DOCS
            for name, methods in self._declaration.apis.items()
        )
        outer = b"".join(encode_compact(number(f"Runtime{part}")) for part in _PARTS)
        body = (
            pallets + signed + encode_compact(number("Runtime")) + apis + outer + encode_vector(())
        )
        return b"meta\x0f" + self._types.encode() + body

    def write_legacy(self) -> bytes:
        """Encode metadata V14."""
        pallets = encode_vector(map(self._pallet, self._declaration.pallets))
        signed = (
            encode_compact(self._types.type_id(self._extrinsic))
            + bytes([EXTRINSIC_VERSION])
            + encode_vector(map(self._extension, self._declaration.extensions))
        )
        runtime = encode_compact(self._types.type_id("Runtime"))
        return b"meta\x0e" + self._types.encode() + pallets + signed + runtime

    def _method(self, method: ApiMethod) -> bytes:
        inputs = encode_vector(
            encode_str(field.name or "")
            + encode_compact(self._types.type_id(field.type.replace(_SIGNED_EXTRA, self._extra)))
            for field in method.inputs
        )
        output = encode_compact(self._types.type_id(method.output))
        return encode_str(method.name) + inputs + output + _NO_DOCS

    def _declare_outer(self, part: str) -> None:
        variants: list[Variant] = []
        for pallet in self._declaration.pallets:
            if members := _members(pallet, part):
                name = f"{pallet.name}{part}"
                path = (*pallet.crate.split("::"), "pallet", part)
                self._types.declare(name, path, members)
                variants.append(Variant(pallet.index, pallet.name, (Field(None, name),)))
        self._types.declare(f"Runtime{part}", (_RUNTIME, f"Runtime{part}"), variants)

    def _pallet(self, pallet: Pallet) -> bytes:
        def inner(part: str) -> bytes:
            if not _members(pallet, part):
                return encode_option(None)
            return encode_option(encode_compact(self._types.type_id(f"{pallet.name}{part}")))

        storage = encode_str(pallet.name) + encode_vector(map(self._storage, pallet.storage))
        return (
            encode_str(pallet.name)
            + encode_option(storage if pallet.storage else None)
            + inner("Call")
            + inner("Event")
            + encode_vector(map(self._constant, pallet.constants))
            + inner("Error")
            + bytes([pallet.index])
        )

    def _storage(self, item: StorageItem) -> bytes:
        value = encode_compact(self._types.type_id(item.value))
        if item.keys:
            key = item.keys[0] if len(item.keys) == 1 else _tuple_of(list(item.keys))
            hashers = encode_vector(bytes([_HASHERS.index(hasher)]) for hasher in item.hashers)
            kind = b"\x01" + hashers + encode_compact(self._types.type_id(key)) + value
        else:
            kind = b"\x00" + value
        modifier = b"\x00" if item.optional else b"\x01"
        return (
            encode_str(item.name) + modifier + kind + encode_bytes(self._default(item)) + _NO_DOCS
        )

    def _default(self, item: StorageItem) -> bytes:
        if item.optional:
            return b"\x00"
        if item.default is not None:
            return self._literal(item.value, item.default)
        return bytes(self._zero_width(item.value))

    def _zero_width(self, type_: str) -> int:
        """Return the number of zero bytes in the default value of a type."""
        if type_ in _WIDTHS:
            return _WIDTHS[type_]
        if type_.startswith("("):
            return sum(map(self._zero_width, split_outside_brackets(type_[1:-1])))
        if type_.startswith("["):
            item, _, length = type_[1:-1].rpartition("; ")
            return self._zero_width(item) * int(length)
        name, _, rest = type_.partition("<")
        if name in {"Vec", "Option", "Compact", "bool", "BTreeMap", "BTreeSet"}:
            return 1
        declared = self._declaration.types[name]
        if declared.variants is not None:
            return 1  # the first variant; it has no fields in items with this default
        bound = (
            dict(zip(declared.parameters, split_outside_brackets(rest[:-1]), strict=True))
            if rest
            else {}
        )
        return sum(self._zero_width(bound.get(field.type, field.type)) for field in declared.fields)

    def _constant(self, constant: Constant) -> bytes:
        value = self._literal(constant.type, constant.value)
        return (
            encode_str(constant.name)
            + encode_compact(self._types.type_id(constant.type))
            + encode_bytes(value)
            + _NO_DOCS
        )

    def _literal(self, type_: str, written: str) -> bytes:
        if written in self._placeholders:
            return self._placeholders[written]
        if written.startswith("0x"):
            return bytes.fromhex(written[2:])
        if type_ == "bool":
            return b"\x01" if written == "true" else b"\x00"
        return int(written).to_bytes(_WIDTHS[type_], "little", signed=type_.startswith("i"))

    def _extension(self, extension: Extension) -> bytes:
        return (
            encode_str(extension.name)
            + encode_compact(self._types.type_id(extension.type))
            + encode_compact(self._types.type_id(extension.additional))
        )


def _members(pallet: Pallet, part: str) -> list[Variant]:
    return {"Call": pallet.calls, "Event": pallet.events, "Error": pallet.errors}[part]


def _tuple_of(types: list[str]) -> str:
    return f"({', '.join(types)})"
