"""Certificates that cannot be decoded."""

import pytest

from pylon.chain.queries.certificate_queries import NEURON_CERTIFICATES, CertificatesOf
from pylon_client.contract.ss58 import ss58_address
from pylon_client.contract.types import NetUid
from tests.support.chain.fake_chain import block_of
from tests.support.chain.scripted_sdk import hotkey_map_sdk

ONE = NetUid(1)
BLOCK = block_of(1_000)
KEY = bytes(range(32))


async def test_a_certificate_that_cannot_be_read_is_skipped_and_named_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sdk = hotkey_map_sdk({KEY: "0x0caabb"}, NEURON_CERTIFICATES)
    found = await CertificatesOf(ONE).execute(sdk, BLOCK)
    assert (found.certificates, [one.item for one in found.skipped]) == ({}, [ss58_address(KEY)])
    # The published reply has no room for it.
    assert "Skipped" in caplog.text
    assert f"{ss58_address(KEY)} on subnet 1" in caplog.text
