"""Generate `docs/settings.md`: every setting, from the settings classes and their docstrings.

`scripts/documents.py` writes it.
"""

import inspect
import json
import re
from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from typing import Any, Final

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from tenacity import BaseRetrying
from typer.core import TyperGroup, TyperOption
from typer.main import get_command

from bridge.settings import BridgeSettings
from pylon.cli.main import app
from pylon.cli.up.up_options import UpSettings
from pylon.common.deployment_settings import DeploymentSettings, IdentitySettings
from pylon.common.environment_settings import PREFIX, EnvironmentSettings
from pylon.common.logs import LogSettings
from pylon.common.prometheus_settings import PrometheusSettings
from pylon.common.secret_files import FILE_SUFFIX
from pylon.common.variable_checks import IGNORED_VARIABLES
from pylon.nats_server.server_access import ServerAccessSettings
from pylon.worker.settings import WorkerSettings
from pylon_client.config import BaseConfig

UNITS: Final = {
    "_s": "seconds",
    "_seconds": "seconds",
    "_blocks": "blocks",
    "_blocks_cutoff": "blocks",
    "_mib": "MiB",
    "_days": "days",
}
INTRODUCTION: Final = """\
# Settings

Each setting is an environment variable, or a line of the file `.env` in the working directory; the
environment takes precedence. `nox -s documents` generates this page from the code.

- A secret `PYLON_X` can be read from a file: set `PYLON_X_FILE` to its path. These settings are
  marked with `_FILE`. Both variables at once, and an unreadable file, are errors.
- Lists are JSON.
- Without a default, an empty variable means that the setting is not set.
- A process with a wrong setting exits and logs a line for each error. `pylon check` checks the
  worker's settings without starting one.
- An unknown `PYLON_…` variable is logged as a warning with the nearest known name; with
  `PYLON_STRICT_SETTINGS=true` the process exits.
- `.env` is UTF-8. `PYLON_ENV_FILE` in the environment names another file; if it is empty, no file
  is read.
- Tokens contain no control characters and no spaces at their ends. Two identities must not share a
  token, and an identity must not share one with open access, the metrics or NATS.
"""
OF_PUBLISHED_SERVICE: Final = """\
## Of the published service

These variables have no effect. Each process logs a warning for each one that is set.

"""

PAGES: Final[Sequence[tuple[str, str, str, type[BaseModel]]]] = (
    (
        "Every process",
        "Read by the worker, the bridge, `pylon up`, and the commands that connect to these.",
        PREFIX,
        DeploymentSettings,
    ),
    (
        "Each identity",
        (
            "Read by the worker, the bridge and `pylon nats-conf`, for each name in "
            "`PYLON_IDENTITIES`; `{NAME}` is the name in upper case, with `-` written as `_`."
        ),
        f"{PREFIX}ID_{{NAME}}_",
        IdentitySettings,
    ),
    ("Logs", "Read by every process.", PREFIX, LogSettings),
    (
        "Metrics",
        "Read by the worker, the bridge and `pylon up`.",
        "PROMETHEUS_",
        PrometheusSettings,
    ),
    ("The worker", "Read by `pylon worker`, `pylon check` and `pylon up`.", PREFIX, WorkerSettings),
    ("The bridge", "Read by `python -m bridge` and `pylon up`.", PREFIX, BridgeSettings),
    (
        "`pylon up`",
        (
            "Read only by `pylon up`. It overrides the settings of its processes for the addresses "
            "of NATS and the bridge, the passwords between them, and their shutdown timeouts; "
            "with `--devnet`, also those of the chain, the identities and their wallets."
        ),
        PREFIX,
        UpSettings,
    ),
    (
        "NATS servers",
        "Read only by `pylon nats-conf`; see [NATS](deployment/nats.md).",
        PREFIX,
        ServerAccessSettings,
    ),
    (
        "The client",
        (
            "Read by `Config` and `AsyncConfig` of the Python client, only from the environment; "
            "arguments take precedence. See [the client](client.md)."
        ),
        "PYLON_CLIENT_",
        BaseConfig,
    ),
)


def settings_page() -> str:
    """Return the page."""
    parts = [INTRODUCTION]
    documented: set[str] = set()
    for title, about, prefix, settings in PAGES:
        rows = [row for row in _rows(settings, prefix) if row[0] not in documented]
        documented |= {row[0] for row in rows}
        parts.append(f"## {title}\n\n{about}\n\n{_table(rows)}")
        if settings is UpSettings:
            parts.append(
                "These are options of `pylon up` as well, and are not read from `.env`:\n\n"
                + _table(_of_the_command())
            )
    names = [f"| `{name}` | {what_to_do} |\n" for name, what_to_do in IGNORED_VARIABLES.items()]
    head = "| name | what to do |\n| --- | --- |\n"
    return "\n".join([*parts, OF_PUBLISHED_SERVICE + head + "".join(names)])


def known_variables() -> str:
    """Return the module `pylon/common/known_variables.py`."""
    variables = {f"{PREFIX}ID_": set[str](), PREFIX: set[str]()}
    for _, _, prefix, settings in PAGES:
        if not (issubclass(settings, EnvironmentSettings) and prefix.startswith(PREFIX)):
            continue  # the client's and those of Prometheus, which other readers check
        family = PREFIX if prefix == PREFIX else f"{PREFIX}ID_"
        for name, field in settings.model_fields.items():
            variable = f"{PREFIX if family == PREFIX else ''}{name}".upper()
            variables[family].add(variable)
            if field.annotation is SecretStr:
                variables[family].add(variable + FILE_SUFFIX)
    variables[f"{PREFIX}ID_"].remove("NAME")
    return (
        '"""Variables that processes of Pylon read; `nox -s documents` writes this module."""\n\n'
        "from typing import Final\n\n"
        + _frozenset("VARIABLES", variables[PREFIX])
        + _frozenset("IDENTITY_FIELDS", variables[f"{PREFIX}ID_"])
    )


def _frozenset(name: str, texts: Collection[str]) -> str:
    lines = "".join(f'        "{text}",\n' for text in sorted(texts))
    return f"{name}: Final = frozenset(\n    {{\n{lines}    }}\n)\n"


def _table(rows: Sequence[Sequence[str]]) -> str:
    lines = [("variable", "meaning", "unit", "default"), ("---",) * 4, *rows]
    return "".join(
        f"|{'|'.join(f' {cell} ' if cell else ' ' for cell in line)}|\n" for line in lines
    )


def _rows(settings: type[BaseModel], prefix: str) -> list[tuple[str, str, str, str]]:
    texts = _texts(settings)
    rows: list[tuple[str, str, str, str]] = []
    for name, field in settings.model_fields.items():
        if prefix.endswith("{NAME}_") and name == "name":
            continue  # which `PYLON_IDENTITIES` gives
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            rows += _rows(inner, f"{prefix}{name}__".upper())
            continue
        variable = f"`{prefix}{name.upper()}`"
        if inner is SecretStr:
            variable += ", `_FILE`"
        unit = next((unit for end, unit in UNITS.items() if name.endswith(end)), "")
        if prefix.endswith("TIMEOUT__"):
            unit = "seconds"
        meaning = texts[name].replace("None ", "empty ")
        if isinstance(inner, type) and issubclass(inner, Enum):
            meaning += f": {', '.join(f'`{choice.value}`' for choice in inner)}"
        rows.append((variable, meaning, unit, _default(field)))
    return rows


def _texts(settings: type[BaseModel]) -> Mapping[str, str]:
    """Return the description of each field, from the docstrings of a class and its bases."""
    found: dict[str, str] = {}
    for cls in reversed(settings.__mro__):
        _, _, attributes = inspect.cleandoc(cls.__doc__ or "").partition("Attributes:\n")
        text = attributes.partition("\n\n")[0]
        for name, meaning in re.findall(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", text, re.MULTILINE):
            found[name] = re.sub(r"\s+", " ", meaning).rstrip(".")
    return found


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default: Any = field.get_default(call_default_factory=True)
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    if isinstance(default, Enum):
        default = default.value
    if default is None or default is PydanticUndefined or isinstance(default, BaseRetrying):
        return ""
    if isinstance(default, list):
        return f"`{json.dumps(default)}`"
    if isinstance(default, float):
        return f"`{default:g}`"
    return f"`{default}`" if str(default) else '`""`'


def _of_the_command() -> list[tuple[str, str, str, str]]:
    command = get_command(app)
    assert isinstance(command, TyperGroup)  # noqa: S101 -- for the type
    rows: list[tuple[str, str, str, str]] = []
    for option in command.commands["up"].params:
        variable = option.envvar
        assert isinstance(option, TyperOption)  # noqa: S101 -- for the type
        if variable and not str(variable).startswith(PREFIX):
            unit = "seconds" if option.name == "block_time" else ""
            default = "" if option.default is None else f"`{option.default:g}`"
            rows.append((f"`{variable}`", (option.help or "").rstrip("."), unit, default))
    return rows
