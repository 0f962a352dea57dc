"""Settings of the Prometheus library, for processes with metrics and for their supervisor."""

from pydantic_settings import SettingsConfigDict

from pylon.common.environment_settings import EnvironmentSettings


class PrometheusSettings(EnvironmentSettings):
    """Settings of the Prometheus library, which are also read from `.env`.

    Attributes:
        disable_created_series: whether to leave out the `…_created` series.
    """

    model_config = SettingsConfigDict(env_prefix="PROMETHEUS_")

    disable_created_series: bool = False
