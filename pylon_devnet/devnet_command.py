"""The command `pylon devnet`, also `python -m pylon_devnet`."""

import asyncio
import errno
import signal
import sqlite3
from pathlib import Path
from typing import Annotated

import typer

from pylon_devnet.devnet_options import MIN_BLOCK_TIME_S, DevnetOptions
from pylon_devnet.runtime.runtime_names import NEWEST, RUNTIMES

MAX_PORT = 65_535
MAX_EXTRA_SUBNETS = 1_000
_STATE_FOLDER_ERRORS = (errno.EBUSY, errno.EACCES, errno.EROFS, errno.ENOTDIR)
DEVNET_EPILOG = (
    "Try: btcli -n ws://127.0.0.1:9944 query metagraph --netuid 1. The keys of the devnet are "
    "public: never use them on another chain."
)


def devnet(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=MAX_PORT, help="WebSocket port; 0 takes any free one.")
    ] = 9944,
    block_time: Annotated[
        float,
        typer.Option(min=MIN_BLOCK_TIME_S, help="Seconds per block; 12 as on the chain."),
    ] = 12.0,
    state: Annotated[
        Path | None,
        typer.Option(help="Folder for the chain's state; by default it is not stored."),
    ] = None,
    fresh: Annotated[  # noqa: FBT002 - an option of a command line
        bool, typer.Option("--fresh", help="Start at genesis even if the folder contains a chain.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the accounts and their activity.")] = 1,
    control_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=MAX_PORT,
            help="Port of the HTTP control API on loopback; 0 takes any free one.",
        ),
    ] = None,
    runtime: Annotated[
        str, typer.Option(help=f"Runtime to simulate: {', '.join(RUNTIMES)}.")
    ] = NEWEST,
    keep_blocks: Annotated[
        int, typer.Option(min=1, help="Number of past states to keep; older ones are pruned.")
    ] = 4096,
    past_blocks: Annotated[
        int, typer.Option(min=0, help="Number of blocks that a new chain starts with.")
    ] = 0,
    neurons: Annotated[
        int | None,
        typer.Option(min=16, max=256, help="Neurons of every subnet, a quarter validators."),
    ] = None,
    extra_subnets: Annotated[
        int, typer.Option(min=0, max=MAX_EXTRA_SUBNETS, help="Additional small subnets, from 101.")
    ] = 0,
    tempo: Annotated[
        int, typer.Option(min=1, max=65535, help="Blocks per epoch of each subnet.")
    ] = 360,
    still: Annotated[  # noqa: FBT002 - an option of a command line
        bool, typer.Option("--still", help="Disable the simulated activity of other accounts.")
    ] = False,
) -> None:
    """Run a simulated subtensor node: the SDK, btcli and turbobt work with it unchanged.

    It has subnets 1 (256 neurons), 2 (16 neurons) and 12 (64 neurons, commit-reveal), and makes a
    block every few seconds. The states of the newest --keep-blocks blocks can be read. When it is
    ready, it prints a line with its address. Ctrl-C stops it; with --state, it resumes there.
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
            extra_subnets=extra_subnets,
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
            text = f"{where}{error.strerror}" if error.errno in _STATE_FOLDER_ERRORS else str(error)
        typer.echo(f"devnet: {text}", err=True)
        raise typer.Exit(1) from None
    except sqlite3.Error as error:
        where = "the chain" if state is None else str(state)
        typer.echo(
            f"devnet: could not write or read {where}: {error}; check whether the disk is full "
            "(`df`), then start again",
            err=True,
        )
        raise typer.Exit(1) from None
    except ValueError as error:
        typer.echo(f"devnet: {error}", err=True)
        raise typer.Exit(1) from None


async def _run(options: DevnetOptions) -> None:
    # Imported here, because every `pylon` command registers this one, and the node takes longer to
    # import than the rest of the command line.
    from pylon_devnet import Devnet  # noqa: PLC0415

    stop_requested = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop_requested.set)
    async with Devnet(options) as node:
        if node.control_url is not None:
            typer.echo(f"devnet control {node.control_url}")
        typer.echo(f"devnet ready {node.url}")
        stop_task, failure_task = (
            asyncio.ensure_future(stop_requested.wait()),
            asyncio.ensure_future(node.wait_failed()),
        )
        await asyncio.wait({stop_task, failure_task}, return_when=asyncio.FIRST_COMPLETED)
        stop_task.cancel()
        if failure_task.done():
            failure_task.result()
        failure_task.cancel()


def main() -> None:
    """Run the command without `pylon`."""
    app = typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.command(epilog=DEVNET_EPILOG)(devnet)
    app()
