from pathlib import Path
from typing import Any, cast

import pytest
from bittensor import keyfiles

from pylon.wallets.hotkeys import HotkeyError, HotkeyProblem, ed25519_public_key, open_hotkey
from pylon_devnet.codec import public_keyfile
from pylon_devnet.dev_wallets import write_wallet
from pylon_devnet.population import dev_hotkey_seed

PASSWORD = "correct horse"


def encrypted_wallet(folder: Path) -> str:
    write_wallet(folder, "sn1", "default")
    plain = open_hotkey(folder, "sn1", "default")
    path = folder / "sn1" / "hotkeys" / "sealed"
    keyfile: Any = cast("Any", keyfiles).Keyfile(path)
    keyfile.set_keypair(plain, encrypt=True, password=PASSWORD)
    return plain.ss58_address


@pytest.mark.integration  # the keyfile's key derivation is slow on purpose
def test_an_encrypted_hotkey_is_opened_by_its_password_without_a_prompt(tmp_path: Path) -> None:
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


def test_an_invalid_keyfile_is_named_and_not_quoted(tmp_path: Path) -> None:
    path = tmp_path / "w" / "hotkeys" / "h"
    path.parent.mkdir(parents=True)
    path.write_text('{"secretSeed": "a secret"')
    with pytest.raises(HotkeyError, match=str(path)) as refused:
        open_hotkey(tmp_path, "w", "h")
    assert "a secret" not in str(refused.value)


def test_a_public_key_alone_is_recognized_when_it_is_opened(tmp_path: Path) -> None:
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


def test_a_coldkey_is_not_needed_nor_looked_at(tmp_path: Path) -> None:
    write_wallet(tmp_path, "sn1", "default")
    (tmp_path / "sn1" / "coldkey").symlink_to("/nowhere/to/be/found")
    (tmp_path / "sn1" / "coldkeypub.txt").unlink()
    assert open_hotkey(tmp_path, "sn1", "default").sign(b"x")


def test_ed25519_keys_match_the_standard() -> None:
    # RFC 8032, 7.1, test 1.
    private = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
    public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert ed25519_public_key(bytes.fromhex(private)).hex() == public
