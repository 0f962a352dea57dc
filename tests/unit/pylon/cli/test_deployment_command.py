"""Commands that use a running deployment."""

from pathlib import Path
from typing import NoReturn

import pytest
import typer

from pylon.cli import deployment_command
from pylon.cli.deployment_command import run_with_deployment
from pylon.cli.up import running_home
from pylon.cli.up.up_options import UpError
from pylon.common.deployment_settings import DeploymentSettings
from pylon_client.contract.failures import ErrorCode, FailureError
from tests.support.product.secret_texts import secret_of

pytestmark = pytest.mark.usefixtures("log_level")


@pytest.fixture(autouse=True)
def homes(monkeypatch: pytest.MonkeyPatch) -> list[Path | None]:
    """The homes whose settings were looked up."""
    homes: list[Path | None] = []
    monkeypatch.setenv("PYLON_ENV_FILE", "")
    monkeypatch.setenv("PYLON_OPEN_ACCESS_TOKEN", secret_of("open"))
    monkeypatch.setattr(running_home, "find_deployment", homes.append)
    return homes


def test_the_action_gets_the_settings_of_the_home(homes: list[Path | None]) -> None:
    tokens: list[str] = []

    async def action(settings: DeploymentSettings, _console: object) -> None:
        tokens.append(settings.open_access_token.get_secret_value())

    run_with_deployment(action, Path("home"))
    assert (homes, tokens) == ([Path("home")], [secret_of("open")])


def test_a_failure_is_one_line_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    async def action(*_: object) -> NoReturn:
        raise FailureError(ErrorCode.FORBIDDEN, f"Rejected {secret_of('open')}.")

    with pytest.raises(typer.Exit) as ended:
        run_with_deployment(action, None)
    assert ended.value.exit_code == 1
    error = capsys.readouterr().err
    assert error.startswith("pylon: Rejected ")
    assert secret_of("open") not in error


def test_ctrl_c_is_a_normal_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(work: object) -> NoReturn:
        getattr(work, "close")()  # noqa: B009 -- of the coroutine
        raise KeyboardInterrupt

    async def action(*_: object) -> None:
        pass

    monkeypatch.setattr(deployment_command.asyncio, "run", interrupted)
    with pytest.raises(typer.Exit) as ended:
        run_with_deployment(action, None)
    assert ended.value.exit_code == 0


def test_a_home_from_which_nothing_runs_is_an_error_of_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def find(_home: object) -> NoReturn:
        raise UpError("no Pylon runs")

    async def action(*_: object) -> None:
        pass

    monkeypatch.setattr(running_home, "find_deployment", find)
    with pytest.raises(UpError, match="no Pylon runs"):
        run_with_deployment(action, None)
