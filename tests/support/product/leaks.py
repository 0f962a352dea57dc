"""Looks for secrets in what the product has written, and says in which file it found one.

The tests' own tokens, passwords and keys in the URLs of nodes bear a mark, but for one that is
short and looked for as a word. Others are known too: the devnet's tokens and seeds, the local
cluster's passwords, those that `pylon up` makes up, and every private key.
"""

import base64
import contextlib
import re
from collections.abc import Generator, Iterable
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from pylon_devnet.population import dev_coldkey_seed, dev_hotkey_seed
from tests.support.product.secret_texts import MARK, SHORT_SECRET

CONFIGURATION: Final = {
    "*/nats.conf": "nats-server reads its users from it",
    "*/access.conf": "the same, of `pylon nats-conf`",
    "*/running.json": "what `pylon up` tells the commands beside it, for its owner alone",
    "*/open-access.header": "the same, as curl reads it",
    "*/.env": "settings of an operator",
    "*/hotkeys/*": "the wallets of identities",
    "*/.bittensor/wallets/*": "the same, where btcli looks for them",
    "*.key": "the private key of a certificate",
    "*/volumes/tokens/*": "the mounted secret of a pod",
    "*/volumes/wallets/*": "the same",
    "*.py": "a program that a test has written",
    "*/production0/project/deploy/*": "the project's own manifests, as they are committed",
}
"""What is there to hold secrets, and so is not looked into."""
_BANNER: Final = re.compile(rb"^  identity \S+ +netuid \d+ +token devnet-\w+-token$", re.MULTILINE)
"""`pylon up --devnet` shows the devnet's tokens, which are public: these lines and no others."""
_MADE_UP: Final = re.compile(rb'password: "([\w-]{32})"')
_SUBSTRING_MIN_BYTES: Final = 6
"""What is shorter is looked for as a word: it may occur within others by chance."""
_WALLETS: Final = ("sn1", "sn2", "sn12")


def known_secrets() -> dict[bytes, str]:
    """What to look for, and what it is."""
    found = dict.fromkeys(_spellings(MARK.encode()), "a token or password of the tests")
    found[SHORT_SECRET.encode()] = "the short token of the tests"
    found[b"PRIVATE KEY-----"] = "a private key"
    for name in _WALLETS:
        found[f"devnet-{name}-token".encode()] = f"the devnet's token of {name}"
        for kind, seed in (("hot", dev_hotkey_seed(name)), ("cold", dev_coldkey_seed(name))):
            for needle in (seed, seed.hex().encode()):
                found[needle] = f"the {kind}key of {name}"
    for name in ("nats-worker", "nats-bridge", "nats-cluster"):
        found[f"local-{name}-password".encode()] = f"the local cluster's {name} password"
    for name in ("open-access", "metrics"):
        found[f"local-{name}-token".encode()] = f"the local cluster's {name} token"
    return found


def _spellings(mark: bytes) -> set[bytes]:
    """The mark as it is, and as it looks within base64 wherever it begins there."""
    encoded = {
        # What the bytes before and behind it decide in part is left out.
        base64.b64encode(b"\0" * before + mark)[4 * (before > 0) : -4]
        for before in range(3)
    }
    return {mark, mark.hex().encode(), *encoded}


def leaks_in(text: bytes, secrets: dict[bytes, str]) -> list[str]:
    """Which secrets occur in what was written."""
    shown = _BANNER.sub(b"", text) if b"  identity " in text else text
    return sorted({what for secret, what in secrets.items() if _holds(shown, secret)})


def _holds(text: bytes, secret: bytes) -> bool:
    if secret not in text or len(secret) >= _SUBSTRING_MIN_BYTES:
        return secret in text
    return re.search(rb"(?<!\w)" + re.escape(secret) + rb"(?!\w)", text) is not None


def leaks_under(folder: Path, secrets: dict[bytes, str] | None = None) -> list[str]:
    """Which files in a folder hold secrets that should not, and which."""
    files = list(_files(folder))
    known = (known_secrets() if secrets is None else secrets) | _made_up(files)
    return [
        f"{path} holds {what}"
        for path in files
        if not _is_configuration(path)
        for what in leaks_in(_content(path), known)
    ]


def _content(path: Path) -> bytes:
    """Return what a file holds; nothing where it has just been removed."""
    with contextlib.suppress(FileNotFoundError):
        return path.read_bytes()
    return b""


def _is_configuration(path: Path) -> bool:
    return any(fnmatch(str(path), pattern) for pattern in CONFIGURATION)


def _files(folder: Path) -> Generator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path


def _made_up(files: Iterable[Path]) -> dict[bytes, str]:
    """The passwords that `pylon up` has made up for one run, from where it has to write them."""
    return {
        password: "a password of `pylon up`"
        for path in files
        if path.name == "nats.conf"
        for password in _MADE_UP.findall(_content(path))
    }
