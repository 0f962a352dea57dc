"""The names, the types and the weight of `pylon_client.v1`, as its users have come to know them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import pylon_client.v1
from pylon_client import errors
from tests.support.product.eventually import HANGS_AFTER_S

ROOT = Path(__file__).parents[3]
MODULES_MAX = 60
"""Maximum number of project modules that an import of the client loads."""

# Names are added at will and never taken away: a program somewhere imports them.
NAMES = """
ASYNC_DEFAULT_RETRIES AlphaPrice AlphaPriceRao AlphaStake AsyncConfig AsyncPylonClient AxonInfo
AxonProtocol BasePylonException BittensorModel Block BlockHash BlockInfo BlockNumber
CertificateAlgorithm Coldkey Commitment CommitmentDataBytes CommitmentDataHex CommitmentHex
CommitmentKind Config Consensus DEFAULT_RETRIES Dividends DrandRound Emission ErrorCode EvmAddress
EvmAssociation Extrinsic ExtrinsicCall ExtrinsicCallArg ExtrinsicIndex ExtrinsicRecord Failure
GenerateCertificateResponse GetAllRevealedCommitmentsResponse GetCertificateResponse
GetCertificatesResponse GetCommitmentResponse GetCommitmentsResponse GetDrandLastStoredRoundResponse
GetExtrinsicResponse GetHyperparametersResponse GetIdentitiesResponse GetJobResponse GetJobsResponse
GetLatestBlockInfoResponse GetLatestEvmAssociationsResponse GetNeuronChangesResponse
GetNeuronsResponse GetPriceResponse
GetPricesResponse GetRevealedCommitmentsResponse GetTypedCommitmentResponse
GetTypedCommitmentsResponse GetValidatorsResponse GetWeightsStatusResponse HexDataCommitment Hotkey
HotkeyName HotkeyRevealedCommitments HotkeyTypedCommitment Identities IdentityName Incentive Job
JobId JobKind JobList JobState LeftOut MechanismId MtlsVerificationError NetUid Neuron NeuronActive
NeuronCertificate NeuronCertificateKeypair NeuronChanges NeuronUid
Port PrivateKey PruningScore PublicKey
PylonAuthToken PylonBadGateway PylonClient PylonClosed PylonForbidden
PylonJobTimeoutException PylonMisconfigured
PylonNetuidMismatch PylonNotFound PylonRateLimited PylonRequestException PylonResponseException
PylonTimeout PylonTimeoutException PylonUnauthorized PylonUnavailable Rank ReplacedNeuron
RevealRound
RevealedCommitment SetCommitmentResponse SetRevealedCommitmentResponse SetWeightsResponse Skipped
Stake Stakes SubnetCertificates SubnetCommitments SubnetEvmAssociations SubnetHyperparameters
SubnetNeurons SubnetPrice SubnetPrices SubnetRevealedCommitments SubnetTypedCommitments
SubnetValidators TaoStake TimelockEncryptedCommitment TimeoutReason Timestamp TotalStake Trust
TypedCommitment ValidatorPermit ValidatorTrust WalletName Weight WeightsStatus
"""


def test_the_public_names_do_not_change() -> None:
    assert sorted(pylon_client.v1.__all__) == sorted(NAMES.split())
    assert all(hasattr(pylon_client.v1, name) for name in NAMES.split())


def test_every_exception_is_public_and_in_the_documented_tree() -> None:
    drawn = errors.__doc__ or ""
    kinds = [errors.BasePylonException]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
        assert getattr(pylon_client.v1, kind.__name__) is kind
        assert f"{kind.__name__} " in f"{drawn} ".replace("\n", " ")
    assert len(kinds) == 15


def python(*args: str) -> str:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, *args],
        cwd=ROOT,
        env=kept,
        capture_output=True,
        text=True,
        timeout=HANGS_AFTER_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.integration  # other processes
def test_importing_the_client_does_not_import_the_service() -> None:
    script = """
import sys, pylon_client.v1, pylon_client.testing
print(*sorted({name.partition(".")[0] for name in sys.modules}))
import pylon_client.transports.http_transport, pylon_client.transports.nats_transport
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""
    at_first, at_most = python("-c", script).splitlines()
    unused = {"anyio", "httpx", "nats", "pydantic_settings"}
    assert not unused & set(at_first.split()), "imported before it is used"
    of_the_service = "bittensor bittensor_core fastapi starlette uvicorn typer pylon bridge"
    assert not set(of_the_service.split()) & set(at_most.split())


@pytest.mark.integration  # the same
def test_importing_the_client_loads_two_dependencies_and_few_modules() -> None:
    """The loaded modules decide how long an import takes; `bench --only import` measures it."""
    script = """
import sys, asyncio, tenacity
from pydantic import BaseModel, Field, RootModel, create_model
create_model("First", number=int)
known = set(sys.modules)
import pylon_client.v1
print(*sorted(set(sys.modules) - known))
"""
    loaded = python("-c", script).split()
    packages = {name.partition(".")[0] for name in loaded} - set(sys.stdlib_module_names)
    assert packages <= {"annotated_types", "pydantic", "pylon_client"}
    assert sum(name.startswith("pylon_client") for name in loaded) <= MODULES_MAX


RIGHT = """
from pylon_client.testing import FakePylon, operations, sample_neurons
from pylon_client.v1 import *
from tenacity import stop_after_attempt, wait_random

config = AsyncConfig(
    address="http://localhost:8000",
    open_access_token="token",
    identity_name=IdentityName("sn1"),
    identity_token="token",
    timeout=PylonTimeout(read=30),
    retry=ASYNC_DEFAULT_RETRIES.copy(
        wait=wait_random(min=0.1, max=0.3), stop=stop_after_attempt(5)
    ),
)
named = AsyncConfig(address="http://localhost:8000", identity_name="sn1", identity_token="token")
sync_config = Config(address=["nats://a:4222", "nats://b:4222"], retry=DEFAULT_RETRIES.copy())
from_environment = Config()

async def use() -> None:
    async with AsyncPylonClient(config) as client:
        response: GetNeuronsResponse = await client.open_access.get_latest_neurons(netuid=NetUid(1))
        number: BlockNumber = response.block.number
        stakes: list[TotalStake] = [n.stakes.total for n in response.neurons.values()]
        await client.identity.get_neurons(block_number=BlockNumber(5))
        info: GetLatestBlockInfoResponse = await client.open_access.get_latest_block_info()
        reveal_type((await client.identity.get_latest_neurons()).neurons)
        prices: GetPricesResponse = await client.open_access.get_latest_prices()
        price: AlphaPriceRao = prices.prices[NetUid(1)].value
        weights = {Hotkey("5C"): Weight(0.5)}
        job_id: JobId = (await client.identity.put_weights(weights)).job_id
        job: Job = await client.identity.get_job(job_id)
        ended: Job = await client.identity.wait_for_job(job_id, timeout_s=60)
        await client.identity.set_commitment(CommitmentDataBytes(b"x"), idempotency_key="k")
        await client.identity.set_commitment(CommitmentDataHex("0x00"))
        async for each in client.open_access.blocks(after=BlockNumber(1)):
            stamp: Timestamp = each.timestamp
        async with client.get_neuron_client(neurons[Hotkey("5C")]) as http:
            status: int = (await http.get("/")).status_code

with PylonClient(sync_config) as client:
    neurons: dict[Hotkey, Neuron] = client.identity.get_latest_neurons().neurons
    for snapshot in client.open_access.neuron_snapshots(NetUid(1)):
        first: Neuron | None = snapshot.neurons.get(Hotkey("5C"))
    known: GetNeuronsResponse = client.open_access.get_latest_neurons(NetUid(1))
    for changes in client.open_access.neuron_changes(NetUid(1), after=known.block.number):
        known = changes.apply_to(known)
    with client.get_neuron_client(neurons[Hotkey("5C")], timeout=3) as http_client:
        text: str = http_client.get("/").text
try:
    pass
except PylonTimeoutException as error:
    reason: TimeoutReason = error.reason
except BasePylonException as error:
    again: bool = error.retryable
    block: BlockNumber | None = error.retry_at_block
pylon = FakePylon()
pylon.answer(operations.LATEST_NEURONS, sample_neurons())
pylon.fail(operations.LATEST_NEURONS, ErrorCode.CHAIN_UNAVAILABLE)
"""
# Each line is wrong by itself, and violates the rule beside it.
WRONG = {
    "client.open_access.get_latest_neurons()": "reportCallIssue",
    "client.open_access.get_latest_neurons(1)": "reportArgumentType",
    "client.open_access.get_neurons(NetUid(1), NetUid(2))": "reportArgumentType",
    "client.open_access.get_neurons(BlockNumber(1), BlockNumber(2))": "reportArgumentType",
    "client.identity.get_latest_neurons(NetUid(1))": "reportCallIssue",
    "client.identity.get_neurons('5')": "reportArgumentType",
    "client.identity.get_latest_neurons().block.height": "reportAttributeAccessIssue",
    "client.identity.get_latest_neurons().neurons[5]": "reportArgumentType",
    "client.identity.put_weights({'5C': 0.5})": "reportArgumentType",
    "client.identity.put_weights(weights=[0.5])": "reportArgumentType",
    "client.identity.set_commitment(5)": "reportArgumentType",
    "client.identity.get_job(Hotkey('5C'))": "reportArgumentType",
    "client.identity.wait_for_job(JobId('a'), timeout_s='long')": "reportArgumentType",
    "client.open_access.put_weights({})": "reportAttributeAccessIssue",
    "client.open_access.get_commitment(NetUid(1), Coldkey('5C'))": "reportArgumentType",
    "client.open_access.neuron_snapshots()": "reportCallIssue",
    "client.identity.get_neuron_changes(NetUid(1))": "reportArgumentType",
    "client.open_access.blocks(after=NetUid(1))": "reportArgumentType",
    "[block async for block in client.open_access.blocks()]": "reportGeneralTypeIssues",
    "client.open_access.blocks(give_up_after_s='long')": "reportArgumentType",
    "client.open_access.blocks(patience_s='long')": "reportArgumentType",
    "client.identity.put_weights({Hotkey('5C'): Weight(1)}, mechanism_id=1)": "reportArgumentType",
    "client.identity.cancel_job('a')": "reportArgumentType",
    "client.get_neuron_client(Hotkey('5C'))": "reportArgumentType",
    "unawaited.open_access.get_latest_neurons(NetUid(1)).block": "reportAttributeAccessIssue",
    "pylon.publish(NetUid(1))": "reportArgumentType",
    "client.get_latest_neurons(NetUid(1))": "reportAttributeAccessIssue",
    "AsyncPylonClient(Config(address='http://a'))": "reportArgumentType",
    "PylonClient(AsyncConfig(address='http://a'))": "reportArgumentType",
    "Config(address='http://a', retry=ASYNC_DEFAULT_RETRIES)": "reportArgumentType",
    "Config(address='http://a', identity='sn1')": "reportCallIssue",
    "Config(address=8000)": "reportArgumentType",
    "PylonTimeout(read='long')": "reportArgumentType",
    "pylon.fail(operations.LATEST_NEURONS, 'down')": "reportArgumentType",
}


@pytest.mark.integration
def test_correct_uses_type_check_and_wrong_ones_do_not(tmp_path: Path) -> None:
    """Pyright, strict, reads one file of right uses and one of wrong ones."""
    (tmp_path / "right.py").write_text(f"# pyright: strict, reportUnusedVariable=false{RIGHT}")
    head = [
        "# pyright: strict, reportUnusedExpression=false, reportUnknownMemberType=false",
        "from pylon_client.testing import FakePylon, operations",
        "from pylon_client.v1 import *",
        "pylon = FakePylon()",
        "client = PylonClient(Config(address='http://a'))",
        "unawaited = AsyncPylonClient(AsyncConfig(address='http://a'))",
    ]
    (tmp_path / "wrong.py").write_text("\n".join([*head, *WRONG]))
    config = {"extraPaths": [str(ROOT)], "venvPath": str(ROOT), "venv": ".venv"}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(config))
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "-p", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=HANGS_AFTER_S,
        check=False,
    )
    found = json.loads(done.stdout)["generalDiagnostics"]
    right = [each for each in found if each["file"].endswith("right.py")]
    assert [each["message"] for each in right if each["severity"] == "error"] == []
    assert any("dict[Hotkey, Neuron]" in each["message"] for each in right)
    rules: dict[int, set[str]] = {}
    for each in found:
        if each["file"].endswith("wrong.py") and each["severity"] == "error":
            rules.setdefault(each["range"]["start"]["line"], set()).add(each.get("rule", ""))
    for line, (code, rule) in enumerate(WRONG.items(), start=len(head)):
        assert rule in rules.get(line, set()), f"{code} type-checks, or breaks {rules.get(line)}"
    assert set(rules) == set(range(len(head), len(head) + len(WRONG)))
