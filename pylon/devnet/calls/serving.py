"""Publishing where a neuron listens: axons with and without a certificate, and prometheus."""

from typing import Any

from pylon.devnet.calls.dispatch import Call, Dispatch, Handler, ensure
from pylon.devnet.runtime.scale import octets, read_compact
from pylon.devnet.state import State
from pylon.devnet.subnet import SUBTENSOR, value

_IP_TYPES = {4: (0x7F00_0001, (1 << 32) - 1), 6: (1, (1 << 128) - 1)}
_AXON_FIELDS = ("version", "ip", "port", "ip_type", "protocol", "placeholder1", "placeholder2")
_PROMETHEUS_FIELDS = ("version", "ip", "port", "ip_type")
_KEY_LIMIT_BYTES = 64


def axon_refusal(state: State, who: str, arguments: dict[str, Any], block: int) -> str | None:
    """Why the chain would not take this axon now, as the name of its error; or None."""
    if not any(member for _, member in state.entries(SUBTENSOR, "IsNetworkMember", who)):
        return "HotKeyNotRegisteredInNetwork"
    return _refusal(state, "Axons", who, arguments, block, allow_zero=True)


def _refusal(
    state: State, item: str, who: str, arguments: dict[str, Any], block: int, *, allow_zero: bool
) -> str | None:
    netuid, ip, ip_type = arguments["netuid"], arguments["ip"], arguments["ip_type"]
    if ip_type not in _IP_TYPES:
        return "InvalidIpType"
    loopback, top = _IP_TYPES[ip_type]
    if ip == loopback or ip >= top or (ip == 0 and not allow_zero):
        return "InvalidIpAddress"
    before = value(state, item, netuid, who)
    served = before["block"] if before else 0
    if served and block - served < value(state, "ServingRateLimit", netuid):
        return "ServingRateLimitExceeded"
    return "InvalidPort" if arguments["port"] == 0 else None


def _serve_axon(dispatch: Dispatch, call: Call) -> None:
    draft, who, netuid = dispatch.draft, dispatch.ensure_signed(), call.arguments["netuid"]
    refusal = axon_refusal(draft, who, call.arguments, draft.number)
    ensure(refusal is None, refusal or "")
    axon = {name: call.arguments[name] for name in _AXON_FIELDS}
    draft.put(SUBTENSOR, "Axons", netuid, who, {"block": draft.number, **axon})
    certificate = _certificate(call.raw.get("certificate"))
    if certificate is not None:
        draft.put_raw(SUBTENSOR, "NeuronCertificates", (netuid, who), certificate)
    dispatch.emit(SUBTENSOR, "AxonServed", (netuid, who))


def _certificate(encoded: bytes | None) -> bytes | None:
    """A `NeuronCertificate` of the bytes given: first the algorithm, then 1 to 64 of the key.

    As on the chain, what does not fit is ignored without an error.
    """
    if encoded is None:
        return None
    _, offset = read_compact(encoded, 0)
    algorithm, key = encoded[offset : offset + 1], encoded[offset + 1 :]
    if not 0 < len(key) <= _KEY_LIMIT_BYTES:
        return None
    return octets(key) + algorithm


def _serve_prometheus(dispatch: Dispatch, call: Call) -> None:
    draft, who, netuid = dispatch.draft, dispatch.ensure_signed(), call.arguments["netuid"]
    registered = draft.entries(SUBTENSOR, "IsNetworkMember", who)
    ensure(any(member for _, member in registered), "HotKeyNotRegisteredInNetwork")
    refusal = _refusal(draft, "Prometheus", who, call.arguments, draft.number, allow_zero=False)
    ensure(refusal is None, refusal or "")
    served = {name: call.arguments[name] for name in _PROMETHEUS_FIELDS}
    draft.put(SUBTENSOR, "Prometheus", netuid, who, {"block": draft.number, **served})
    dispatch.emit(SUBTENSOR, "PrometheusServed", (netuid, who))


HANDLERS: dict[str, Handler] = {
    "SubtensorModule.serve_axon": _serve_axon,
    "SubtensorModule.serve_axon_tls": _serve_axon,
    "SubtensorModule.serve_prometheus": _serve_prometheus,
}
