import stat
from pathlib import Path

from bittensor.wallet import Wallet

from pylon_devnet.dev_wallets import write_wallet
from pylon_devnet.population import coldkey, hotkey


def test_the_sdk_opens_a_wallet_and_finds_the_validators_keys(tmp_path: Path) -> None:
    write_wallet(tmp_path, "sn12", "default")
    wallet = Wallet("sn12", "default", str(tmp_path))
    assert wallet.hotkey.ss58_address == hotkey(12, 0)
    assert wallet.coldkeypub.ss58_address == coldkey(12, 0)
    assert not wallet.coldkey_file.exists_on_device()


def test_a_hotkey_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    write_wallet(tmp_path, "sn1", "default")
    mode = (tmp_path / "sn1" / "hotkeys" / "default").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


def test_a_wallet_can_be_written_again(tmp_path: Path) -> None:
    write_wallet(tmp_path, "sn1", "default")
    write_wallet(tmp_path, "sn1", "default")
    assert Wallet("sn1", "default", str(tmp_path)).hotkey.ss58_address == hotkey(1, 0)
