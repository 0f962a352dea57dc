"""Check the chain and every identity, as a worker would use them."""

import time
from collections.abc import AsyncGenerator

from pylon.chain.archive_routing import read_genesis_hash
from pylon.chain.port import ChainReads
from pylon.chain.queries.hyperparameter_queries import Hyperparameters
from pylon.chain.queries.neuron_queries import Neurons
from pylon.chain.subtensor_reader import SubtensorReader
from pylon.chain.subtensor_writer import SubtensorWriter
from pylon.cli.check.clock_check import check_head, nats_clock_offset_s
from pylon.cli.check.findings import Finding, failure, ok, warning
from pylon.common.deployment_settings import IdentitySettings
from pylon.wallets.addresses import AddressError, resolve_address
from pylon.wallets.hotkeys import HotkeyError
from pylon.worker.identities import open_identity_hotkey
from pylon.worker.settings import WorkerSettings
from pylon_client.contract.failures import FailureError
from pylon_client.contract.models import Block, Neuron, SubnetNeurons
from pylon_client.contract.types import Hotkey

WEIGHTS_RATE_LIMIT = "weights_rate_limit"


async def check_chain(settings: WorkerSettings) -> AsyncGenerator[Finding]:
    """Check that the chain answers, and that each identity can write to it."""
    try:
        chain = SubtensorReader(settings.bittensor_network)
    except ValueError as error:
        yield failure("chain", str(error), "correct PYLON_BITTENSOR_NETWORK")
        return
    genesis: str | None = None
    try:
        block = await chain.latest_block(timeout_s=settings.chain_timeout_seconds)
        # Before the next call: the first storage read of a connection decodes the metadata.
        seen_at_s = time.time()
        age_s = seen_at_s - await chain.timestamp(block, timeout_s=settings.chain_timeout_seconds)
        for finding in check_head(
            chain.endpoint_label,
            block.number,
            age_s,
            silence_s=settings.head_silence_seconds,
            nats_offset_s=await nats_clock_offset_s(settings),
        ):
            yield finding
        genesis = await read_genesis_hash(chain, settings.chain_timeout_seconds)
        for identity in settings.identity_settings.values():
            async for finding in _check_identity(settings, identity, chain, block):
                yield finding
        async for finding in _check_writes(settings):
            yield finding
    except FailureError as error:
        text = f"{chain.endpoint_label}: {error.failure.detail}"
        yield failure("chain", text, "correct PYLON_BITTENSOR_NETWORK, or wait")
    finally:
        await chain.close()
    if settings.bittensor_archive_network:
        yield await _check_archive(settings, genesis)


async def _check_writes(settings: WorkerSettings) -> AsyncGenerator[Finding]:
    """Check that the chain's runtime supports the writes of identities."""
    netuids = [identity.netuid for identity in settings.identity_settings.values()]
    if not netuids:
        return
    chain = SubtensorWriter(settings.bittensor_network, timeout_s=settings.chain_timeout_seconds)
    try:
        missing = await chain.unsupported_writes(netuids[0])
    finally:
        await chain.close()
    for kind, why in missing.items():
        yield failure(
            "runtime", f"{kind}: {why}", "see docs/compatibility.md for what it must have"
        )
    if not missing:
        yield ok("runtime", "it supports weights, commitments and certificates")


async def _check_archive(settings: WorkerSettings, genesis: str | None) -> Finding:
    remedy = "correct PYLON_BITTENSOR_ARCHIVE_NETWORK; until then old blocks cannot be read"
    try:
        archive = SubtensorReader(settings.bittensor_archive_network, role="The archive node")
    except ValueError as error:
        return warning("archive", str(error), remedy)
    try:
        block = await archive.latest_block(timeout_s=settings.chain_timeout_seconds)
        its_genesis = await read_genesis_hash(archive, settings.chain_timeout_seconds)
    except FailureError as error:
        return warning("archive", f"{archive.endpoint_label}: {error.failure.detail}", remedy)
    else:
        if genesis not in (None, its_genesis):
            return warning("archive", f"{archive.endpoint_label} is of another chain", remedy)
        return ok("archive", f"{archive.endpoint_label} is at block {block.number}")
    finally:
        await archive.close()


async def _check_identity(
    settings: WorkerSettings, identity: IdentitySettings, chain: ChainReads, block: Block
) -> AsyncGenerator[Finding]:
    subject = f"identity {identity.name}"
    hotkey: Hotkey | None = None
    if settings.worker_role.signs:
        try:
            signer = open_identity_hotkey(settings.bittensor_wallet_path, identity)
        except HotkeyError as error:
            yield failure(subject, f"it cannot write: {error.cause}", error.remedy)
        else:
            hotkey = Hotkey(signer.ss58_address)
            yield ok(subject, "its hotkey can be opened")
    try:
        hotkey = hotkey or resolve_address(settings.bittensor_wallet_path, identity)
    except AddressError as error:
        text = f"its hotkey's address is not known: {error.cause}"
        yield failure(subject, text, error.remedy)
        return
    try:
        timeout_s = settings.chain_timeout_seconds
        neurons = await chain.query(Neurons(identity.netuid), block, timeout_s=timeout_s)
        limits = await chain.query(Hyperparameters(identity.netuid), block, timeout_s=timeout_s)
    except FailureError as error:
        remedy = f"correct {identity.env_prefix}NETUID"
        yield failure(subject, f"subnet {identity.netuid}: {error.failure.detail}", remedy)
        return
    neuron = SubnetNeurons.model_validate_json(neurons).neurons.get(hotkey)
    if neuron is None:
        yield failure(
            subject,
            f"{hotkey} is not registered on subnet {identity.netuid}",
            "register it, or choose another hotkey or subnet",
        )
        return
    yield ok(subject, f"{hotkey} is uid {neuron.uid} of subnet {identity.netuid}")
    yield _check_permit(subject, neuron)
    yield _check_rate(subject, neuron, block, int(limits.hyperparameters[WEIGHTS_RATE_LIMIT]))


def _check_permit(subject: str, neuron: Neuron) -> Finding:
    if neuron.validator_permit:
        return ok(subject, "it has a validator permit")
    return warning(subject, "it has no validator permit", "without more stake it sets no weights")


def _check_rate(subject: str, neuron: Neuron, block: Block, limit_blocks: int) -> Finding:
    wait_blocks = neuron.last_update + limit_blocks - block.number
    if neuron.last_update and wait_blocks > 0:
        return ok(subject, f"weights are accepted again in {wait_blocks} blocks")
    how_often = f", and then every {limit_blocks} blocks" if limit_blocks else ""
    return ok(subject, f"weights are accepted now{how_often}")
