"""The text that `pylon up` prints when it is ready."""

import os
import shlex
from typing import Final

from pylon.cli.up.running_home import HEADER_FILE
from pylon.cli.up.up_options import LOOPBACK, UpOptions
from pylon.common.deployment_settings import DeploymentSettings
from pylon_client.contract.operations import LATEST_BLOCK, LATEST_NEURONS, Scope

_CONTAINER_PID: Final = 1
"""Process id of the command of a container."""
_HEADER_FROM_ENV_FILE: Final = (
    """ -H "Authorization: Bearer $(sed -n 's/^PYLON_OPEN_ACCESS_TOKEN=//p' .env)\""""
)


def banner(options: UpOptions, settings: DeploymentSettings) -> str:
    """Return the addresses, curl commands to try and, on the devnet, the tokens of its identities.

    The commands work as printed in any terminal of the same user. They read the open-access token
    from a file in the home, so that it is neither printed nor part of a process's arguments. In a
    container, they read it from `.env` instead, since its home is not accessible outside.
    """
    url = options.rest_url.replace(LOOPBACK, "localhost")
    identities = settings.identity_settings.values()
    netuid = min((identity.netuid for identity in identities), default=1)
    header = ""
    if settings.open_access_token.get_secret_value():
        file = (options.home / HEADER_FILE).absolute()
        header = (
            _HEADER_FROM_ENV_FILE
            if os.getpid() == _CONTAINER_PID
            else f" -H {shlex.quote(f'@{file}')}"
        )
    path = LATEST_NEURONS.rest_path(Scope.OPEN).format(netuid=netuid)
    lines = [
        "",
        f"Pylon is ready at {url}",
        f"  try      curl -s{header} {url}{path}",
        f"           curl -s{header} {url}{LATEST_BLOCK.rest_path(Scope.OPEN)}",
        f"  API      {url}/schema/swagger",
        f"  NATS     {settings.nats_url}",
    ]
    if options.devnet_url is not None:
        lines.append(f"  devnet   {options.devnet_url}, a block every {options.block_time_s:g} s")
        lines += [
            f"  identity {identity.name:<5} netuid {identity.netuid:<3} "
            f"token {identity.token.get_secret_value()}"
            for identity in identities
        ]
    lines += [f"  state    {options.home}", "Ctrl-C stops it.", ""]
    return "\n".join(lines)
