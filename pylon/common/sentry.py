"""Reports of errors to Sentry, for those who ask for them, without anything secret in them."""

from importlib.metadata import version
from typing import Any, Final

from pydantic_settings import SettingsError

from pylon.common.deployment_settings import DeploymentSettings
from pylon.common.process_metrics import DISTRIBUTION
from pylon.common.redaction import REDACTOR

SHUTDOWN_TIMEOUT_S: Final = 2
_NEVER_SENT: Final = ("request", "user", "extra")


def set_up_sentry(settings: DeploymentSettings, component: str) -> None:
    """Report what is logged as an error, if the settings name a place; else do nothing.

    Nothing of a request, of a local variable or of the environment is sent.

    Args:
        settings: of which every secret is hidden wherever it stands.
        component: which process this is.

    Raises:
        SettingsError: the place is none.
    """
    dsn = settings.sentry_dsn.get_secret_value()
    if not dsn:
        return
    # The library takes a tenth of a second to import, which most who start need not wait for.
    import sentry_sdk  # noqa: PLC0415
    from sentry_sdk.integrations.argv import ArgvIntegration  # noqa: PLC0415
    from sentry_sdk.integrations.modules import ModulesIntegration  # noqa: PLC0415
    from sentry_sdk.utils import BadDsn  # noqa: PLC0415

    try:
        sentry_sdk.init(
            dsn=dsn,
            environment=settings.sentry_environment,
            release=f"{DISTRIBUTION}@{version(DISTRIBUTION)}",
            send_default_pii=False,
            include_local_variables=False,
            max_request_body_size="never",
            # What the processes catch and log is what matters; nothing is to hook into libraries.
            auto_enabling_integrations=False,
            disabled_integrations=[ArgvIntegration(), ModulesIntegration()],
            before_send=_scrub_event,
            shutdown_timeout=SHUTDOWN_TIMEOUT_S,
        )
    except BadDsn:
        raise SettingsError("PYLON_SENTRY_DSN: is no address that Sentry gives out") from None
    sentry_sdk.set_tag("component", component)


def _scrub_event(event: Any, _hint: Any) -> Any:
    for part in _NEVER_SENT:
        event.pop(part, None)
    return REDACTOR.redact_value(event)
