"""Registration of neurons by burning TAO.

On a full subnet, the new neuron replaces the one with the lowest emission, except immune neurons
and the owner's. The chain considers a few more criteria.
"""

from pylon_devnet.calls.balance_calls import withdraw
from pylon_devnet.calls.dispatch import CallHandler, DecodedCall, DispatchContext, ensure
from pylon_devnet.chain_state import Draft
from pylon_devnet.codec import sr25519_address
from pylon_devnet.population import dev_hotkey_seed, set_stake, write_neuron
from pylon_devnet.subnet_state import (
    ROOT_NETUID,
    SUBTENSOR,
    neuron_count,
    subnet_exists,
    uid_of,
    uid_vector,
    value,
)

_UID_VECTORS = ("Emission", "Incentive", "Consensus", "Dividends", "ValidatorTrust")
_MAPS = ("Axons", "Prometheus", "NeuronCertificates", "Uids")


def add_neuron(draft: Draft, netuid: int, hotkey: str, coldkey: str) -> int | None:
    """Register a hotkey as a neuron; return its uid, or None if no neuron can be replaced."""
    count = neuron_count(draft, netuid)
    if count < value(draft, "MaxAllowedUids", netuid):
        uid = count
        draft.put(SUBTENSOR, "SubnetworkN", netuid, count + 1)
    else:
        replaced = _lowest_emission_uid(draft, netuid)
        if replaced is None:
            return None
        uid = replaced
        _remove_neuron(draft, netuid, uid)
    _insert_neuron(draft, netuid, uid, hotkey, coldkey)
    return uid


def replace_neuron(draft: Draft, netuid: int, hotkey: str) -> None:
    """Deregister a hotkey as the chain does: a new neuron takes its uid."""
    uid = value(draft, "Uids", netuid, hotkey)
    newcomer = dev_hotkey_seed(f"newcomer-{netuid}-{uid}-{draft.number}")
    owner = value(draft, "SubnetOwner", netuid)
    _remove_neuron(draft, netuid, uid)
    _insert_neuron(draft, netuid, uid, sr25519_address(newcomer), owner)


def _insert_neuron(draft: Draft, netuid: int, uid: int, hotkey: str, coldkey: str) -> None:
    write_neuron(draft, netuid, uid, hotkey, coldkey, draft.number)
    _add_owned_hotkey(draft, hotkey, coldkey)
    count = neuron_count(draft, netuid)
    for item in _UID_VECTORS:
        _set_cell(draft, item, netuid, uid, count, cell=0)
    _set_cell(draft, "ValidatorPermit", netuid, uid, count, cell=False)
    _set_cell(draft, "Active", netuid, uid, count, cell=True)
    _set_cell(draft, "LastUpdate", netuid, uid, count, cell=draft.number)
    set_stake(draft, netuid, hotkey, value(draft, "TotalHotkeyAlpha", hotkey, netuid))


def _set_cell(
    draft: Draft, item: str, netuid: int, uid: int, count: int, *, cell: int | bool
) -> None:
    values = uid_vector(draft, item, netuid, count, type(cell)())
    values[uid] = cell
    draft.put(SUBTENSOR, item, netuid, values)


def _add_owned_hotkey(draft: Draft, hotkey: str, coldkey: str) -> None:
    for item in ("OwnedHotkeys", "StakingHotkeys"):
        owned = value(draft, item, coldkey)
        if hotkey not in owned:
            draft.put(SUBTENSOR, item, coldkey, [*owned, hotkey])


def _lowest_emission_uid(draft: Draft, netuid: int) -> int | None:
    count = neuron_count(draft, netuid)
    emission = uid_vector(draft, "Emission", netuid, count)
    immunity = value(draft, "ImmunityPeriod", netuid)
    owner = value(draft, "SubnetOwnerHotkey", netuid)

    def may_go(uid: int) -> bool:
        registered = value(draft, "BlockAtRegistration", netuid, uid)
        # Neurons of genesis are not immune.
        is_immune = registered > 0 and draft.number - registered < immunity
        return not is_immune and value(draft, "Keys", netuid, uid) != owner

    return min(filter(may_go, range(count)), key=lambda uid: (emission[uid], -uid), default=None)


def _remove_neuron(draft: Draft, netuid: int, uid: int) -> None:
    hotkey = value(draft, "Keys", netuid, uid)
    for item in _MAPS:
        draft.delete(SUBTENSOR, item, netuid, hotkey)
    draft.put(SUBTENSOR, "IsNetworkMember", hotkey, netuid, False)
    draft.delete(SUBTENSOR, "Weights", netuid, uid)
    draft.delete(SUBTENSOR, "Bonds", netuid, uid)


def _burned_register(dispatch: DispatchContext, call: DecodedCall) -> None:
    draft, coldkey = dispatch.draft, dispatch.ensure_signed()
    netuid, hotkey = call.arguments["netuid"], call.arguments["hotkey"]
    ensure(netuid != ROOT_NETUID, "RegistrationNotPermittedOnRootSubnet")
    ensure(subnet_exists(draft, netuid), "SubnetNotExists")
    ensure(value(draft, "NetworkRegistrationAllowed", netuid), "SubNetRegistrationDisabled")
    ensure(uid_of(draft, netuid, hotkey) is None, "HotKeyAlreadyRegisteredInSubNet")
    owner = value(draft, "Owner", hotkey)
    ensure(not value(draft, "OwnedHotkeys", owner) or owner == coldkey, "NonAssociatedColdKey")
    most = value(draft, "MaxRegistrationsPerBlock", netuid)
    ensure(_registered_now(draft, netuid) < most, "TooManyRegistrationsThisBlock")
    burn = value(draft, "Burn", netuid)
    limit = call.arguments.get("limit_price", burn)
    ensure(burn <= limit, "RegistrationPriceLimitExceeded")
    ensure(withdraw(dispatch, coldkey, burn), "NotEnoughBalanceToStake")
    uid = add_neuron(draft, netuid, hotkey, coldkey)
    ensure(uid is not None, "NoNeuronIdAvailable")
    dispatch.emit(SUBTENSOR, "NeuronRegistered", (netuid, uid, hotkey))


def _registered_now(draft: Draft, netuid: int) -> int:
    return sum(
        value(draft, "BlockAtRegistration", netuid, uid) == draft.number
        for uid in range(neuron_count(draft, netuid))
    )


HANDLERS: dict[str, CallHandler] = {
    "SubtensorModule.burned_register": _burned_register,
    "SubtensorModule.register_limit": _burned_register,
}
