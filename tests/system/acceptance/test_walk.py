"""End-to-end scenarios of a new user, an operator, a subnet developer and an SRE.

Each step is one test. The steps run in order on one product; later steps depend on earlier ones.
"""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from tests.support.product.free_ports import free_ports
from tests.support.product.product import Product
from tests.support.product.walk import METRICS_TOKEN, Step, Walk
from tests.support.product.walk_developer import DEVELOPER
from tests.support.product.walk_first_contact import FIRST_CONTACT
from tests.support.product.walk_new_user import NEW_USER
from tests.support.product.walk_operator import OPERATOR
from tests.support.product.walk_sre import SRE

STEPS = [step for steps in (NEW_USER, OPERATOR, DEVELOPER, FIRST_CONTACT, SRE) for step in steps]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def walk(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Walk]:
    (worker_port,) = free_ports(1)
    settings = {"PYLON_METRICS_TOKEN": METRICS_TOKEN, "PYLON_HEALTH_PORT": str(worker_port)}
    async with Product(tmp_path_factory.mktemp("walk"), settings=settings) as product:
        yield Walk(product, worker_port)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "step",
    STEPS,
    ids=[f"{number} {step.user}: {step.behaviour}" for number, step in enumerate(STEPS, 1)],
)
async def test_a_step(step: Step, walk: Walk) -> None:
    await step.check(walk)


def test_the_walk_has_at_least_ninety_steps() -> None:
    assert len(STEPS) >= 90
    assert len({step.behaviour for step in STEPS}) == len(STEPS)
