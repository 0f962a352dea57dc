"""The command `pylon devnet`, also `python -m pylon_devnet`."""

import asyncio
import errno
import signal
import sqlite3
from pathlib import Path
from typing import Annotated

import typer

from pylon_devnet.devnet_options import MIN_BLOCK_TIME_S, DevnetOptions
from pylon_devnet.node import Devnet
from pylon_devnet.runtime.declaration import NEWEST, RUNTIMES

PORT_MAX = 65_535
_OF_THE_FOLDER = (errno.EBUSY, errno.EACCES, errno.EROFS, errno.ENOTDIR)
_EPILOG = (
    "Try: btcli -n ws://127.0.0.1:9944 query metagraph --netuid 1. Its keys are public and worth "
    "nothing: never use them anywhere else."
)


def devnet(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=PORT_MAX, help="WebSocket port; 0 takes any free one.")
    ] = 9944,
    block_time: Annotated[
        float,
        typer.Option(min=MIN_BLOCK_TIME_S, help="Seconds per block; 12 as on the chain."),
    ] = 12.0,
    state: Annotated[
        Path | None,
        typer.Option(help="Folder to keep the chain in; without it, it is forgotten at the end."),
    ] = None,
    fresh: Annotated[  # noqa: FBT002 - an option of a command line
        bool, typer.Option("--fresh", help="Start over, even if the folder has a chain.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Decides who lives there and what they do.")] = 1,
    control_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=PORT_MAX,
            help="Port of the HTTP control API on loopback; 0 takes any free one.",
        ),
    ] = None,
    runtime: Annotated[
        str, typer.Option(help=f"Which runtime it has the shape of: {', '.join(RUNTIMES)}.")
    ] = NEWEST,
    keep_blocks: Annotated[
        int, typer.Option(min=1, help="How many past states can be read; older ones are pruned.")
    ] = 4096,
    past_blocks: Annotated[
        int, typer.Option(min=0, help="A new chain begins with so many blocks behind it.")
    ] = 0,
    neurons: Annotated[
        int | None,
        typer.Option(min=16, max=256, help="Neurons of every subnet, a quarter validators."),
    ] = None,
    tempo: Annotated[
        int, typer.Option(min=1, max=65535, help="Blocks per epoch of each subnet.")
    ] = 360,
    still: Annotated[  # noqa: FBT002 - an option of a command line
        bool, typer.Option("--still", help="Only what you do changes the subnets between epochs.")
    ] = False,
) -> None:
    """Run a simulated subtensor node: the SDK, btcli and turbobt work with it unchanged.

    It has subnets 1 (256 neurons), 2 (16 neurons) and 12 (64 neurons, commit-reveal), a new block
    every few seconds, and all of its past as far as --keep-blocks reaches. When it is ready it
    says so in one line, with its address. Ctrl-C ends it; with --state it goes on from there.
    """
    try:
        options = DevnetOptions(
            host=host,
            port=port,
            block_time_s=block_time,
            state=state,
            fresh=fresh,
            seed=seed,
            control_port=control_port,
            runtime=runtime,
            keep_blocks=keep_blocks,
            past_blocks=past_blocks,
            neurons=neurons,
            tempo_blocks=tempo,
            active=not still,
        )
        asyncio.run(_run(options))
    except OSError as error:
        where = "" if state is None else f"{state} cannot be used: "
        if error.errno == errno.EADDRINUSE:
            text = f"{error.strerror}; choose another with --port or --control-port"
        else:
            text = f"{where}{error.strerror}" if error.errno in _OF_THE_FOLDER else str(error)
        typer.echo(f"devnet: {text}", err=True)
        raise typer.Exit(1) from None
    except sqlite3.Error as error:
        where = "The chain" if state is None else str(state)
        typer.echo(
            f"devnet: {where} cannot be written or read: {error}; see whether its disk is full "
            "(`df`), and start again",
            err=True,
        )
        raise typer.Exit(1) from None
    except ValueError as error:
        typer.echo(f"devnet: {error}", err=True)
        raise typer.Exit(1) from None


async def _run(options: DevnetOptions) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    async with Devnet(options) as node:
        if node.control_url is not None:
            typer.echo(f"devnet control {node.control_url}")
        typer.echo(f"devnet ready {node.url}")
        ending, breaking = (
            asyncio.ensure_future(ended.wait()),
            asyncio.ensure_future(node.wait_failed()),
        )
        await asyncio.wait({ending, breaking}, return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()
        if breaking.done():
            breaking.result()
        breaking.cancel()


def main() -> None:
    """Runs the command alone."""
    app = typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.command()(devnet)
    app()
