"""A devnet with at least one of every readable object, a worker, and both protocols to query it."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from pydantic import BaseModel

from pylon.nats_server.permissions import authorization_config
from pylon.nats_server.server_limits import MAX_PAYLOAD_BYTES
from pylon.worker.settings import WorkerSettings
from pylon_client.contract import json_codec
from pylon_client.contract.failures import FailureError
from pylon_client.contract.operations import Operation, Params, Scope
from pylon_client.contract.subjects import IdentitySubject, OpenSubject
from pylon_client.contract.types import BlockNumber, IdentityName, NetUid
from pylon_client.nats.nats_connection import ConnectionOptions, NatsConnection, connect
from pylon_devnet import Devnet, DevnetOptions
from pylon_devnet.dev_wallets import write_wallet
from pylon_devnet.population import dev_hotkey_seed, hotkey
from tests.support.chain.signing import signed
from tests.support.nats.nats_server import NatsServer
from tests.support.product.bridge_process import BridgeProcess, bridge_environment
from tests.support.product.deployment import WORKER_PASSWORD, deployment_settings, token_of
from tests.support.product.running_worker import running
from tests.support.product.secret_texts import with_keys

NETUIDS = {"sn1": 1, "sn2": 2, "sn12": 12}
"""`sn1` has a wallet, `sn12` has its address in the settings, `sn2` has neither."""
TRACKED = NetUid(1)

OWN = hotkey(1, 0)
BINARY, BIG, TIMELOCKED, GARBLED, TWO_FIELDS = (hotkey(1, uid) for uid in (5, 6, 7, 8, 9))
MINER = hotkey(1, 64)
"""It has a commitment and a certificate from the beginning."""
BYTES = b"\xff\xfe0x31"
TEXT = b"0x" + b"ff" * 70
"""A text that looks like what the SDK makes of other bytes."""
CIPHERTEXT = b"timelocked \x00\x80"
EVM_ADDRESS = bytes(range(20))


class Via(StrEnum):
    """The protocol of a query."""

    HTTP = "http"
    NATS = "nats"


@dataclass(frozen=True)
class QueryResult:
    """A response: its HTTP status, its JSON, and the block that it describes."""

    status: int
    body: Any
    block_number: int | None = None
    block_hash: str | None = None


@dataclass
class ReadsDeployment:
    """The running processes."""

    devnet: Devnet
    nats: NatsServer
    bridge: BridgeProcess
    connections: dict[str, NatsConnection]

    async def query(
        self,
        via: Via,
        operation: Operation[Params, BaseModel],
        *,
        netuid: int | None = None,
        identity: str | None = None,
        **params: Any,
    ) -> QueryResult:
        """Send a query in open access, or as an identity about its own subnet."""
        scope = Scope.OPEN if identity is None else Scope.IDENTITY
        if via is Via.HTTP:
            template = operation.rest_path(scope)
            path = template.format(
                netuid=netuid if identity is None else NETUIDS[identity],
                identity_name=identity,
                **params,
            )
            query = {name: value for name, value in params.items() if f"{{{name}}}" not in template}
            return await self._get(path + (f"?{urlencode(query)}" if query else ""), identity)
        subject = (
            OpenSubject(None if netuid is None else NetUid(netuid), operation.name)
            if identity is None
            else IdentitySubject(IdentityName(identity), operation.name)
        )
        return await self._request(str(subject), identity or "open", params)

    async def _get(self, path: str, identity: str | None) -> QueryResult:
        headers = {} if identity is None else {"Authorization": f"Bearer {token_of(identity)}"}
        response = await self.bridge.get(path, headers=headers)
        number = response.headers.get("X-Pylon-Block-Number")
        tag = response.headers.get("ETag")
        return QueryResult(
            response.status_code,
            response.json(),
            None if number is None else int(number),
            None if tag is None else tag.removeprefix("W/").strip('"'),
        )

    async def _request(self, subject: str, user: str, params: Mapping[str, Any]) -> QueryResult:
        try:
            reply = await self.connections[user].request(
                subject, json_codec.encode(params), timeout_s=60
            )
        except FailureError as error:
            return QueryResult(error.failure.http_status, error.failure.body())
        number = reply.headers.get("Pylon-Block-Number")
        return QueryResult(
            200,
            json_codec.decode(reply.body),
            None if number is None else int(number),
            reply.headers.get("Pylon-Block-Hash"),
        )


@asynccontextmanager
async def reads_deployment(
    folder: Path, *, max_payload_bytes: int = MAX_PAYLOAD_BYTES
) -> AsyncGenerator[ReadsDeployment]:
    """Start everything, isolated from the machine's SDK caches and settings."""
    async with AsyncExitStack() as stack:
        environment = stack.enter_context(pytest.MonkeyPatch.context())
        environment.chdir(folder)
        environment.setenv("HOME", str(folder))
        environment.setenv("BITTENSOR_RUNTIME_CACHE_DIR", str(folder / "runtime-cache"))
        open_rules = authorization_config(deployment_settings(identities=NETUIDS))
        server = NatsServer(folder, open_rules, max_payload_bytes=max_payload_bytes)
        nats = await stack.enter_async_context(server)
        simulated = Devnet(DevnetOptions(port=0, autostart=False, tempo_blocks=50))
        devnet = await stack.enter_async_context(simulated)
        await store_readable_objects(devnet)
        write_wallet(folder / "wallets", "sn1", "default")
        variables = bridge_environment(nats.url, NETUIDS)
        variables |= {
            "PYLON_ID_SN1_WALLET_NAME": "sn1",
            "PYLON_ID_SN1_HOTKEY_NAME": "default",
            "PYLON_ID_SN2_WALLET_NAME": "absent",
            "PYLON_ID_SN2_HOTKEY_NAME": "default",
            "PYLON_ID_SN12_HOTKEY_SS58": hotkey(12, 0),
            "PYLON_NATS_WORKER_PASSWORD": WORKER_PASSWORD,
            "PYLON_TRACKED_NETUIDS": "[1]",
            "PYLON_BITTENSOR_WALLET_PATH": str(folder / "wallets"),
            "PYLON_BITTENSOR_NETWORK": with_keys(devnet.url),
            "PYLON_BITTENSOR_ARCHIVE_NETWORK": "",
        }
        for name, value in variables.items():
            environment.setenv(name, value)
        await stack.enter_async_context(running(WorkerSettings()))
        bridge = await stack.enter_async_context(BridgeProcess(folder, variables))
        connections: dict[str, NatsConnection] = {}
        for user, token in {"open": "", **{name: token_of(name) for name in NETUIDS}}.items():
            name = None if user == "open" else user
            options = ConnectionOptions(urls=(nats.url,), user=name, password=token)
            connections[user] = await connect(options)
            stack.push_async_callback(connections[user].close)
        await bridge.until("/health/ready", 200)
        yield ReadsDeployment(devnet, nats, bridge, connections)


async def store_readable_objects(devnet: Devnet) -> None:
    """Give the devnet at least one of every readable object, unusual ones included."""
    await devnet.advance(2)

    def commit(hotkey_of_commitment: str, *fields: Any) -> None:
        record = {"deposit": 0, "block": devnet.best_number, "info": {"fields": list(fields)}}
        devnet.set_storage("Commitments", "CommitmentOf", [1, hotkey_of_commitment], record)

    commit(BINARY, {f"Raw{len(BYTES)}": BYTES})
    commit(BIG, {"BigRaw": TEXT})
    commit(TWO_FIELDS, {"Raw2": b"ab"}, "ResetBondsFlag", {"Sha256": b"\x01" * 32})
    commit(TIMELOCKED, {"TimelockEncrypted": {"encrypted": CIPHERTEXT, "reveal_round": 99}})
    garbled = bytes(12) + b"\x04\xfe"
    devnet.chain.schedule_change(
        lambda draft: draft.put_raw("Commitments", "CommitmentOf", (1, GARBLED), garbled)
    )
    revealed = [(b"\x18second", 30), (b"first", 20), (b"\xff\x00", 25)]
    devnet.set_storage("Commitments", "RevealedCommitments", [1, OWN], revealed)
    certificate = {"public_key": b"0xff", "algorithm": 1}
    devnet.set_storage("SubtensorModule", "NeuronCertificates", [1, OWN], certificate)
    devnet.set_storage("SubtensorModule", "NeuronCertificates", [12, hotkey(12, 0)], certificate)
    devnet.set_storage("SubtensorModule", "AssociatedEvmAddress", [1, 5], (EVM_ADDRESS, 2))
    devnet.set_storage("SubtensorModule", "AssociatedEvmAddress", [1, 999], (EVM_ADDRESS, 2))
    await devnet.advance()
    call = (
        "Commitments",
        "set_commitment",
        {"netuid": 1, "info": {"fields": [[{"Raw3": b"own"}]]}},
    )
    devnet.pool.submit(signed(devnet.chain, dev_hotkey_seed("sn1"), call, 0))
    await devnet.advance()


async def include(devnet: Devnet, signer: str, nonce: int, *call: Any) -> BlockNumber:
    """Include a call of a hotkey in the next block; return the block's number."""
    pallet, function, arguments = call
    raw = signed(devnet.chain, dev_hotkey_seed(signer), (pallet, function, arguments), nonce)
    devnet.pool.submit(raw)
    return BlockNumber(await devnet.advance())
