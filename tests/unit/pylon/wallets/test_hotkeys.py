from pathlib import Path
from typing import Any, cast

import pytest
from bittensor import keyfiles
from pydantic import SecretStr

from pylon.common.deployment_settings import IdentitySettings
from pylon.wallets.hotkeys import HotkeyError, HotkeyProblem, ed25519_public_key, open_hotkey
from pylon.worker.identities import OpenedHotkeys, open_hotkeys
from pylon_client.contract.types import Hotkey, HotkeyName, IdentityName, NetUid, WalletName
from pylon_devnet.codec import public_keyfile
from pylon_devnet.dev_wallets import write_wallet
from pylon_devnet.population import dev_hotkey_seed, hotkey

PASSWORD = "correct horse"


def encrypted_wallet(folder: Path) -> str:
    write_wallet(folder, "sn1", "default")
    plain = open_hotkey(folder, "sn1", "default")
    path = folder / "sn1" / "hotkeys" / "sealed"
    keyfile: Any = cast("Any", keyfiles).Keyfile(path)
    keyfile.set_keypair(plain, encrypt=True, password=PASSWORD)
    return plain.ss58_address


@pytest.mark.integration  # the keyfile's key derivation is slow on purpose
def test_an_encrypted_hotkey_is_opened_by_its_password_and_never_asked_for(tmp_path: Path) -> None:
    address = encrypted_wallet(tmp_path)
    assert open_hotkey(tmp_path, "sn1", "sealed", PASSWORD).ss58_address == address
    for password, problem in (
        ("", HotkeyProblem.ENCRYPTED),
        ("wrong horse", HotkeyProblem.WRONG_PASSWORD),
    ):
        with pytest.raises(HotkeyError, match="sealed") as refused:
            open_hotkey(tmp_path, "sn1", "sealed", password)
        assert refused.value.problem is problem
        assert PASSWORD not in str(refused.value)


def test_what_is_no_keyfile_is_named_and_not_quoted(tmp_path: Path) -> None:
    path = tmp_path / "w" / "hotkeys" / "h"
    path.parent.mkdir(parents=True)
    path.write_text('{"secretSeed": "a secret"')
    with pytest.raises(HotkeyError, match=str(path)) as refused:
        open_hotkey(tmp_path, "w", "h")
    assert "a secret" not in str(refused.value)


def test_a_public_half_alone_is_recognised_when_it_is_opened(tmp_path: Path) -> None:
    write_wallet(tmp_path, "sn1", "default")
    hotkeys = tmp_path / "sn1" / "hotkeys"
    (hotkeys / "public").write_bytes(public_keyfile(dev_hotkey_seed("sn1")))
    with pytest.raises(HotkeyError, match="only the public key") as refused:
        open_hotkey(tmp_path, "sn1", "public")
    assert refused.value.problem is HotkeyProblem.PUBLIC_ONLY


def test_a_truncated_hotkey_is_broken(tmp_path: Path) -> None:
    write_wallet(tmp_path, "sn1", "default")
    path = tmp_path / "sn1" / "hotkeys" / "default"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(HotkeyError, match="cannot be opened") as refused:
        open_hotkey(tmp_path, "sn1", "default")
    assert refused.value.problem is HotkeyProblem.BROKEN


def test_one_hotkey_that_cannot_be_opened_stops_only_its_identity(
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


def test_a_wallet_of_another_hotkey_than_the_settings_say_cannot_sign(tmp_path: Path) -> None:
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


def test_a_coldkey_is_not_needed_nor_looked_at(tmp_path: Path) -> None:
    write_wallet(tmp_path, "sn1", "default")
    (tmp_path / "sn1" / "coldkey").symlink_to("/nowhere/to/be/found")
    (tmp_path / "sn1" / "coldkeypub.txt").unlink()
    assert open_hotkey(tmp_path, "sn1", "default").sign(b"x")


def test_ed25519_keys_are_those_of_the_standard() -> None:
    # RFC 8032, 7.1, test 1.
    private = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
    public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert ed25519_public_key(bytes.fromhex(private)).hex() == public
