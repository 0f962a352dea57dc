"""Calls that publish a neuron's endpoints: axons, with or without a certificate, and prometheus.

The checks run before the dispatch, in `call_guards`.
"""

from typing import Any

from pylon_devnet.calls.dispatch import CallHandler, DecodedCall, DispatchContext
from pylon_devnet.chain_state import StateReader
from pylon_devnet.runtime.scale_encoding import decode_compact, encode_bytes
from pylon_devnet.subnet_state import SUBTENSOR, uid_of, value

_IP_TYPES = {4: (0x7F00_0001, (1 << 32) - 1), 6: (1, (1 << 128) - 1)}
_AXON_FIELDS = ("version", "ip", "port", "ip_type", "protocol", "placeholder1", "placeholder2")
_PROMETHEUS_FIELDS = ("version", "ip", "port", "ip_type")
_MAX_KEY_BYTES = 64


def axon_error(state: StateReader, who: str, arguments: dict[str, Any], block: int) -> str | None:
    """Return the error with which the chain rejects an axon in a block, or None."""
    return (
        _unregistered(state, who, arguments)
        or _bad_address(arguments, allow_zero=True)
        or _rate_limited(state, "Axons", who, arguments, block)
        or _bad_port(arguments)
    )


def prometheus_error(
    state: StateReader, who: str, arguments: dict[str, Any], block: int
) -> str | None:
    """Return the error with which the chain rejects a prometheus endpoint in a block, or None."""
    return (
        _bad_address(arguments, allow_zero=False)
        or _unregistered(state, who, arguments)
        or _rate_limited(state, "Prometheus", who, arguments, block)
        or _bad_port(arguments)
    )


def _unregistered(state: StateReader, who: str, arguments: dict[str, Any]) -> str | None:
    registered = uid_of(state, arguments["netuid"], who) is not None
    return None if registered else "HotKeyNotRegisteredInNetwork"


def _bad_address(arguments: dict[str, Any], *, allow_zero: bool) -> str | None:
    ip, ip_type = arguments["ip"], arguments["ip_type"]
    if ip_type not in _IP_TYPES:
        return "InvalidIpType"
    loopback, top = _IP_TYPES[ip_type]
    is_bad = ip == loopback or ip >= top or (ip == 0 and not allow_zero)
    return "InvalidIpAddress" if is_bad else None


def _rate_limited(
    state: StateReader, item: str, who: str, arguments: dict[str, Any], block: int
) -> str | None:
    netuid = arguments["netuid"]
    before = value(state, item, netuid, who)
    served = before["block"] if before else 0
    is_soon = served and block - served < value(state, "ServingRateLimit", netuid)
    return "ServingRateLimitExceeded" if is_soon else None


def _bad_port(arguments: dict[str, Any]) -> str | None:
    return "InvalidPort" if arguments["port"] == 0 else None


def _serve_axon(dispatch: DispatchContext, call: DecodedCall) -> None:
    draft, who, netuid = dispatch.draft, dispatch.ensure_signed(), call.arguments["netuid"]
    axon = {name: call.arguments[name] for name in _AXON_FIELDS}
    draft.put(SUBTENSOR, "Axons", netuid, who, {"block": draft.number, **axon})
    certificate = _certificate(call.raw.get("certificate"))
    if certificate is not None:
        draft.put_raw(SUBTENSOR, "NeuronCertificates", (netuid, who), certificate)
    dispatch.emit(SUBTENSOR, "AxonServed", (netuid, who))


def _certificate(encoded: bytes | None) -> bytes | None:
    """Return the `NeuronCertificate` in SCALE of one algorithm byte and 1 to 64 key bytes.

    As on the chain, invalid bytes are ignored without an error.
    """
    if encoded is None:
        return None
    _, offset = decode_compact(encoded, 0)
    algorithm, key = encoded[offset : offset + 1], encoded[offset + 1 :]
    if not 0 < len(key) <= _MAX_KEY_BYTES:
        return None
    return encode_bytes(key) + algorithm


def _serve_prometheus(dispatch: DispatchContext, call: DecodedCall) -> None:
    draft, who, netuid = dispatch.draft, dispatch.ensure_signed(), call.arguments["netuid"]
    served = {name: call.arguments[name] for name in _PROMETHEUS_FIELDS}
    draft.put(SUBTENSOR, "Prometheus", netuid, who, {"block": draft.number, **served})
    dispatch.emit(SUBTENSOR, "PrometheusServed", (netuid, who))


HANDLERS: dict[str, CallHandler] = {
    "SubtensorModule.serve_axon": _serve_axon,
    "SubtensorModule.serve_axon_tls": _serve_axon,
    "SubtensorModule.serve_prometheus": _serve_prometheus,
}
