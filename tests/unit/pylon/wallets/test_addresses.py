"""Sources of the address of an identity's hotkey, and errors without one."""

from pathlib import Path

import pytest
from pydantic import SecretStr
from pydantic_settings import SettingsError

from pylon.common.deployment_settings import IdentitySettings
from pylon.wallets.addresses import AddressError, resolve_address, resolve_addresses
from pylon_client.contract.types import Hotkey, HotkeyName, IdentityName, NetUid, WalletName
from pylon_devnet.codec import public_keyfile
from pylon_devnet.dev_wallets import write_wallet
from pylon_devnet.population import dev_hotkey_seed, hotkey

SN1, SN2 = hotkey(1, 0), hotkey(2, 0)


def identity(address: str | None = None) -> IdentitySettings:
    return IdentitySettings(
        name=IdentityName("my-sn1"),
        netuid=NetUid(1),
        token=SecretStr("secret"),
        wallet_name=WalletName("sn1"),
        hotkey_name=HotkeyName("default"),
        hotkey_ss58=None if address is None else Hotkey(address),
    )


def test_the_settings_come_first(tmp_path: Path) -> None:
    write_wallet(tmp_path, "sn1", "default")
    assert resolve_address(tmp_path, identity(SN2)) == SN2
    assert resolve_address(None, identity(SN2)) == SN2


def test_the_public_file_comes_before_the_keyfile(tmp_path: Path) -> None:
    write_wallet(tmp_path, "sn1", "default")
    assert resolve_address(tmp_path, identity()) == SN1
    public = tmp_path / "sn1" / "hotkeys" / "defaultpub.txt"
    public.write_bytes(public_keyfile(dev_hotkey_seed("sn2")))
    assert resolve_address(tmp_path, identity()) == SN2


@pytest.mark.parametrize("content", ["$NACL\x80", "[]", '{"ss58Address": "5oops"}', "{}"])
def test_a_file_without_an_address_is_named_and_not_quoted(tmp_path: Path, content: str) -> None:
    keyfile = tmp_path / "sn1" / "hotkeys" / "default"
    keyfile.parent.mkdir(parents=True)
    keyfile.write_text(content)
    with pytest.raises(AddressError) as caught:
        resolve_address(tmp_path, identity())
    text = str(caught.value)
    assert f"{keyfile}: it " in text
    assert f"{keyfile}pub.txt: No such file or directory" in text
    assert caught.value.remedy == ("make one of them readable, or set PYLON_ID_MY_SN1_HOTKEY_SS58")
    assert content not in text


def test_without_a_wallet_the_setting_is_named() -> None:
    with pytest.raises(AddressError, match="PYLON_ID_MY_SN1_HOTKEY_SS58"):
        resolve_address(None, identity())


def test_an_identity_without_an_address_does_not_keep_the_others_from_theirs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    identities = {IdentityName("a"): identity(), IdentityName("b"): identity(SN2)}
    assert resolve_addresses(tmp_path, identities, opened={}) == {"b": SN2}
    assert str(tmp_path) in caplog.text


def test_a_setting_that_is_no_address_is_refused() -> None:
    with pytest.raises(SettingsError, match="HOTKEY_SS58: is not an ss58 address"):
        identity("5oops")


def test_an_empty_setting_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("NETUID", "1"), ("TOKEN", "t"), ("HOTKEY_SS58", "")):
        monkeypatch.setenv(f"PYLON_ID_SN1_{name}", value)
    assert IdentitySettings.read(IdentityName("sn1")).hotkey_ss58 is None
    monkeypatch.setenv("PYLON_ID_SN1_HOTKEY_SS58", SN2)
    assert IdentitySettings.read(IdentityName("sn1")).hotkey_ss58 == SN2
