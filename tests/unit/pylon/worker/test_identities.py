"""Opening of the identities' hotkeys."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from pylon.common.deployment_settings import IdentitySettings
from pylon.wallets.hotkeys import HotkeyProblem, open_hotkey
from pylon.worker.identities import OpenedHotkeys, open_hotkeys
from pylon_client.contract.types import Hotkey, HotkeyName, IdentityName, NetUid, WalletName
from pylon_devnet.dev_wallets import write_wallet
from pylon_devnet.population import hotkey

PASSWORD = "correct horse"


def test_a_hotkey_that_cannot_be_opened_affects_its_identity_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_wallet(tmp_path, "sn1", "default")

    def identity(name: str, wallet: str) -> IdentitySettings:
        return IdentitySettings(
            name=IdentityName(name),
            netuid=NetUid(1),
            token=SecretStr("t" * 20),
            wallet_name=WalletName(wallet),
            hotkey_name=HotkeyName("default"),
        )

    identities = {
        IdentityName("good"): identity("good", "sn1"),
        IdentityName("bad"): identity("bad", "missing"),
        IdentityName("bare"): identity("bare", ""),
    }
    opened = open_hotkeys(tmp_path, identities)
    assert set(opened.signers) == {"good"}
    assert {name: error.problem for name, error in opened.problems.items()} == {
        "bad": HotkeyProblem.UNREADABLE,
        "bare": HotkeyProblem.NOT_CONFIGURED,
    }
    assert "PYLON_ID_BARE_WALLET_NAME" in str(opened.problems[IdentityName("bare")])
    assert set(open_hotkeys(None, identities).problems) == set(identities)


def test_a_wallet_with_another_hotkey_than_the_setting_cannot_sign(tmp_path: Path) -> None:
    write_wallet(tmp_path, "sn1", "default")
    own = Hotkey(open_hotkey(tmp_path, "sn1", "default").ss58_address)

    def opened(stated: Hotkey) -> OpenedHotkeys:
        identity = IdentitySettings.model_construct(
            name=IdentityName("one"),
            netuid=NetUid(1),
            token=SecretStr("t" * 20),
            wallet_name=WalletName("sn1"),
            hotkey_name=HotkeyName("default"),
            hotkey_ss58=stated,
        )
        return open_hotkeys(tmp_path, {IdentityName("one"): identity})

    assert opened(own).addresses == {"one": own}
    (problem,) = opened(Hotkey(hotkey(2, 0))).problems.values()
    assert problem.problem is HotkeyProblem.OTHER_HOTKEY
    assert own in str(problem)
    assert "PYLON_ID_ONE_HOTKEY_SS58" in str(problem)
