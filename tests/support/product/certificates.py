"""Certificates for tests: a new certificate authority, and certificates that it signs."""

from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Issued:
    cert: Path
    key: Path


class Authority:
    """A certificate authority; its certificate is the file `path` in its folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._authority = trustme.CA()
        self.path = folder / "ca.pem"
        self._authority.cert_pem.write_to_path(str(self.path))

    def issue(self, name: str) -> Issued:
        """Issue a certificate for this machine, and return its files."""
        leaf = self._authority.issue_cert("127.0.0.1", "localhost")
        issued = Issued(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        for number, blob in enumerate(leaf.cert_chain_pems):
            blob.write_to_path(str(issued.cert), append=number > 0)
        leaf.private_key_pem.write_to_path(str(issued.key))
        issued.key.chmod(0o600)
        return issued
