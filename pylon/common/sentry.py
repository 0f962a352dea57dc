"""Optional error reports to Sentry, without secrets."""

from typing import Any, Final

from pydantic_settings import SettingsError

from pylon.common.deployment_settings import DeploymentSettings
from pylon.common.distribution import DISTRIBUTION, service_version
from pylon.common.redaction import REDACTOR

SHUTDOWN_TIMEOUT_S: Final = 2
_NEVER_SENT: Final = ("request", "user", "extra")


def set_up_sentry(settings: DeploymentSettings, component: str) -> None:
    """Report logged errors to Sentry; without a DSN in the settings, do nothing.

    Reports contain no request data, local variables or environment variables.

    Args:
        settings: contain the DSN and the environment's name.
        component: name of this process, sent as a tag.

    Raises:
        SettingsError: the DSN is invalid.
    """
    dsn = settings.sentry_dsn.get_secret_value()
    if not dsn:
        return
    # Imported here, because the import takes 0.1 s and most deployments do not use Sentry.
    import sentry_sdk  # noqa: PLC0415
    from sentry_sdk.integrations.argv import ArgvIntegration  # noqa: PLC0415
    from sentry_sdk.integrations.modules import ModulesIntegration  # noqa: PLC0415
    from sentry_sdk.utils import BadDsn  # noqa: PLC0415

    try:
        sentry_sdk.init(
            dsn=dsn,
            environment=settings.sentry_environment,
            release=f"{DISTRIBUTION}@{service_version()}",
            send_default_pii=False,
            include_local_variables=False,
            max_request_body_size="never",
            # Logged errors are sufficient; integrations would patch libraries.
            auto_enabling_integrations=False,
            disabled_integrations=[ArgvIntegration(), ModulesIntegration()],
            before_send=_scrub_event,
            shutdown_timeout=SHUTDOWN_TIMEOUT_S,
        )
    except BadDsn:
        raise SettingsError("PYLON_SENTRY_DSN: is not a valid DSN") from None
    sentry_sdk.set_tag("component", component)


def _scrub_event(event: Any, _hint: Any) -> Any:
    for part in _NEVER_SENT:
        event.pop(part, None)
    return REDACTOR.redact_value(event)
