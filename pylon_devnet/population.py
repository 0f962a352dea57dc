"""Population of a devnet: four networks with their neurons, validators and owners, from a seed.

Every key pair is derived from a public seed (`dev_hotkey_seed`, `dev_coldkey_seed`), so that tests
and developers can sign for every account. Keys depend only on names; stakes, axons and weights
depend on the seed.
"""

from dataclasses import dataclass, replace
from functools import cache
from ipaddress import IPv4Address, IPv6Address
from random import Random

from pylon_devnet.activity import draw_weights
from pylon_devnet.chain_state import Draft
from pylon_devnet.codec import blake2b_256, sr25519_address
from pylon_devnet.devnet_options import DevnetOptions
from pylon_devnet.epoch_run import run_epoch
from pylon_devnet.seeded_random import seeded_random
from pylon_devnet.subnet_state import RAO_PER_TAO, ROOT_NETUID, SUBTENSOR, U16_MAX

IDENTITY_STAKE_RAO = 50_000 * RAO_PER_TAO
FUNDS_RAO = 1_000 * RAO_PER_TAO
SUDO = "sudo"


@dataclass(frozen=True, slots=True)
class SubnetPlan:
    """One subnet of the devnet."""

    netuid: int
    name: str
    symbol: str
    neurons: int
    validators: int
    commit_reveal: bool = False


ROOT = SubnetPlan(ROOT_NETUID, "root", "\u03a4", 8, 8)  # Greek capital tau, as on the chain
SUBNETS = (
    SubnetPlan(1, "apex", "\u03b1", 256, 64),
    SubnetPlan(2, "sturdy", "\u03b2", 16, 5),
    SubnetPlan(12, "compute", "\u03bc", 64, 16, commit_reveal=True),
)
FIRST_EXTRA_NETUID = 101


def dev_hotkey_seed(name: str) -> bytes:
    """Return the 32-byte sr25519 seed of a hotkey of the devnet, which is public.

    Args:
        name: `sn1`, `sn2`, `sn12` for the validators at uid 0 of these subnets; `sn<netuid>-<uid>`
            for other neurons.
    """
    return blake2b_256(f"pylon-devnet-hotkey:{name}".encode())


def dev_coldkey_seed(name: str) -> bytes:
    """Return the 32-byte sr25519 seed of a coldkey of the devnet, which is public.

    Args:
        name: `sn1`, `sn2`, `sn12` for the owners of these validators; `sudo` for the sudo account;
            `owner` for the owner of all subnets; `holder-<netuid>-<n>` for the owner of the neurons
            3n to 3n+2.
    """
    return blake2b_256(f"pylon-devnet-coldkey:{name}".encode())


@cache
def hotkey(netuid: int, uid: int) -> str:
    """Return the hotkey of a subnet's neuron at genesis."""
    name = f"sn{netuid}" if uid == 0 else f"sn{netuid}-{uid}"
    return sr25519_address(dev_hotkey_seed(name))


@cache
def coldkey(netuid: int, uid: int) -> str:
    """Return the coldkey that owns a subnet's neuron at genesis."""
    name = f"sn{netuid}" if uid == 0 else f"holder-{netuid}-{uid // 3}"
    return sr25519_address(dev_coldkey_seed(name))


def populate(draft: Draft, options: DevnetOptions) -> None:
    """Write the state of genesis."""
    random = seeded_random(options.seed, "population")
    sudo, owner = (sr25519_address(dev_coldkey_seed(name)) for name in (SUDO, "owner"))
    draft.put("Sudo", "Key", sudo)
    fund(draft, sudo)
    fund(draft, owner)
    plans = [*SUBNETS, *map(_extra_subnet, range(options.extra_subnets))]
    if options.neurons is not None:
        count = options.neurons
        plans = [replace(plan, neurons=count, validators=count // 4) for plan in plans]
    draft.put(SUBTENSOR, "TotalNetworks", len(plans) + 1)
    draft.put(SUBTENSOR, "StakeThreshold", 1_000 * RAO_PER_TAO)
    for plan in plans:
        _populate_subnet(draft, plan, options, owner)
        _populate_neurons(draft, plan, random)
    _populate_root(draft, random)
    for plan in plans:
        _populate_validators(draft, plan, random)
        run_epoch(draft, plan.netuid)
    _write_totals(draft, plans)


def _extra_subnet(number: int) -> SubnetPlan:
    return SubnetPlan(FIRST_EXTRA_NETUID + number, f"extra-{number}", "\u03b5", 16, 5)


def fund(draft: Draft, address: str, free_rao: int = FUNDS_RAO) -> None:
    """Set the free balance of an account, in rao."""
    account = dict(draft.get("System", "Account", address))
    account["providers"] = max(1, account["providers"])
    account["data"] = {**account["data"], "free": free_rao}
    draft.put("System", "Account", address, account)


def _populate_subnet(draft: Draft, plan: SubnetPlan, options: DevnetOptions, owner: str) -> None:
    netuid = plan.netuid
    identity = dict.fromkeys(
        ("github_repo", "subnet_contact", "subnet_url", "discord", "logo_url", "additional"), b""
    )
    described = {"subnet_name": plan.name.encode(), "description": b"a subnet of the devnet"}
    for item, value in {
        "NetworksAdded": True,
        "SubnetworkN": plan.neurons,
        "Tempo": options.tempo_blocks,
        "MaxAllowedUids": max(64, plan.neurons),
        "MaxAllowedValidators": max(8, plan.validators),
        "MinAllowedWeights": 1,
        "WeightsSetRateLimit": 100,
        "CommitRevealWeightsEnabled": plan.commit_reveal,
        "TokenSymbol": plan.symbol.encode(),
        "SubnetOwner": owner,
        "SubnetOwnerHotkey": hotkey(netuid, 1),
        "SubnetIdentitiesV3": {**identity, **described},
        "SubnetMechanism": 1,
        "SubtokenEnabled": True,
        "FirstEmissionBlockNumber": 1,
        "SubnetTAO": (40_000 + 1_000 * netuid) * RAO_PER_TAO,
        "SubnetAlphaIn": 1_000_000 * RAO_PER_TAO,
        "SubnetAlphaOut": 1_500_000 * RAO_PER_TAO,
        "SubnetMovingPrice": {"bits": (40_000 + 1_000 * netuid << 32) // 1_000_000},
        "SubnetVolume": 5_000_000 * RAO_PER_TAO,
        "Burn": RAO_PER_TAO // 10,
    }.items():
        draft.put(SUBTENSOR, item, netuid, value)


def _populate_neurons(draft: Draft, plan: SubnetPlan, random: Random) -> None:
    owned: dict[str, list[str]] = {}
    for uid in range(plan.neurons):
        write_neuron(
            draft, plan.netuid, uid, hotkey(plan.netuid, uid), coldkey(plan.netuid, uid), 0
        )
        owned.setdefault(coldkey(plan.netuid, uid), []).append(hotkey(plan.netuid, uid))
        if uid < plan.validators:
            stake_rao = int(60_000 * RAO_PER_TAO / (uid + 1) ** 0.8 * random.uniform(0.7, 1.0))
        else:
            stake_rao = int(random.expovariate(1 / 40) * RAO_PER_TAO)
        set_stake(draft, plan.netuid, hotkey(plan.netuid, uid), stake_rao)
        _write_axon(draft, plan, uid, random)
    set_stake(draft, plan.netuid, hotkey(plan.netuid, 0), IDENTITY_STAKE_RAO)
    fund(draft, hotkey(plan.netuid, 0))
    for owner, keys in owned.items():
        draft.put(SUBTENSOR, "OwnedHotkeys", owner, keys)
        draft.put(SUBTENSOR, "StakingHotkeys", owner, keys)
        fund(draft, owner)


def write_neuron(
    draft: Draft, netuid: int, uid: int, hotkey_: str, coldkey_: str, block: int
) -> None:
    """Write a hotkey as the neuron at a free uid, or at the next one."""
    for item, params, value in (
        ("Keys", (netuid, uid), hotkey_),
        ("Uids", (netuid, hotkey_), uid),
        ("Owner", (hotkey_,), coldkey_),
        ("IsNetworkMember", (hotkey_, netuid), True),
        ("BlockAtRegistration", (netuid, uid), block),
    ):
        draft.put(SUBTENSOR, item, *params, value)
    draft.put(SUBTENSOR, "Delegates", hotkey_, U16_MAX * 18 // 100)


def set_stake(draft: Draft, netuid: int, hotkey_: str, alpha_rao: int) -> None:
    """Set the stake of a hotkey, staked by its owner."""
    shares = {"mantissa": alpha_rao, "exponent": 0}
    owner = draft.get(SUBTENSOR, "Owner", hotkey_)
    draft.put(SUBTENSOR, "TotalHotkeyAlpha", hotkey_, netuid, alpha_rao)
    draft.put(SUBTENSOR, "TotalHotkeySharesV2", hotkey_, netuid, shares)
    draft.put(SUBTENSOR, "AlphaV2", hotkey_, owner, netuid, shares)


def _write_axon(draft: Draft, plan: SubnetPlan, uid: int, random: Random) -> None:
    serves = uid >= plan.validators and random.random() < 0.85  # noqa: PLR2004 - most miners
    if not serves and uid != plan.validators:
        return
    # Addresses from the ranges reserved for documentation.
    is_ipv6 = uid == plan.validators
    address = (
        IPv6Address(f"2001:db8::{plan.netuid:x}:{uid:x}")
        if is_ipv6
        else IPv4Address("203.0.113.0") + random.randrange(256)
    )
    axon = {
        "block": 0,
        "version": 7002000 + random.randrange(3),
        "ip": int(address),
        "port": random.randrange(8000, 9000),
        "ip_type": 6 if is_ipv6 else 4,
        "protocol": 4,
        "placeholder1": 0,
        "placeholder2": 0,
    }
    draft.put(SUBTENSOR, "Axons", plan.netuid, hotkey(plan.netuid, uid), axon)
    if uid % 16 == plan.validators % 16:
        certificate = {"public_key": random.randbytes(64), "algorithm": 1}
        where = (plan.netuid, hotkey(plan.netuid, uid))
        draft.put(SUBTENSOR, "NeuronCertificates", *where, certificate)
        _write_commitment(draft, *where, f"devnet miner {uid} of {plan.name}".encode())


def _write_commitment(draft: Draft, netuid: int, who: str, data: bytes) -> None:
    info = {"fields": [{f"Raw{len(data)}": data}]}
    registration = {"deposit": 0, "block": 0, "info": info}
    draft.put("Commitments", "CommitmentOf", netuid, who, registration)
    draft.put("Commitments", "LastCommitment", netuid, who, 0)


def _populate_root(draft: Draft, random: Random) -> None:
    draft.put(SUBTENSOR, "NetworksAdded", ROOT_NETUID, True)
    draft.put(SUBTENSOR, "TokenSymbol", ROOT_NETUID, ROOT.symbol.encode())
    draft.put(SUBTENSOR, "SubnetworkN", ROOT_NETUID, ROOT.neurons)
    draft.put(SUBTENSOR, "MaxAllowedUids", ROOT_NETUID, 64)
    draft.put(SUBTENSOR, "Tempo", ROOT_NETUID, 100)
    draft.put(SUBTENSOR, "CommitRevealWeightsEnabled", ROOT_NETUID, False)
    for uid in range(ROOT.neurons):
        plan = SUBNETS[uid % len(SUBNETS)]
        neuron = 1 + uid // len(SUBNETS)
        key = hotkey(plan.netuid, neuron)
        write_neuron(draft, ROOT_NETUID, uid, key, coldkey(plan.netuid, neuron), 0)
        set_stake(draft, ROOT_NETUID, key, random.randrange(2_000, 20_000) * RAO_PER_TAO)
    for item, value in {
        "ValidatorPermit": [True] * ROOT.neurons,
        "Active": [True] * ROOT.neurons,
        "LastUpdate": [0] * ROOT.neurons,
        "Emission": [0] * ROOT.neurons,
    }.items():
        draft.put(SUBTENSOR, item, ROOT_NETUID, value)


def _populate_validators(draft: Draft, plan: SubnetPlan, random: Random) -> None:
    permits = [uid < plan.validators for uid in range(plan.neurons)]
    draft.put(SUBTENSOR, "ValidatorPermit", plan.netuid, permits)
    draft.put(SUBTENSOR, "LastUpdate", plan.netuid, [0] * plan.neurons)
    draft.put(SUBTENSOR, "Active", plan.netuid, [True] * plan.neurons)
    # The validators at uid 0 belong to the devnet's users: they have set no weights.
    for uid in range(1, plan.validators):
        row = draw_weights(random, range(plan.validators, plan.neurons))
        draft.put(SUBTENSOR, "Weights", plan.netuid, uid, row)


def _write_totals(draft: Draft, plans: list[SubnetPlan]) -> None:
    free_rao = sum(account["data"]["free"] for _, account in draft.entries("System", "Account"))
    staked_rao = sum(draft.get(SUBTENSOR, "SubnetTAO", plan.netuid) for plan in plans)
    draft.put(SUBTENSOR, "TotalStake", staked_rao)
    draft.put(SUBTENSOR, "TotalIssuance", free_rao + staked_rao)
    draft.put("Balances", "TotalIssuance", free_rao)
