"""Every test here uses the SDK."""

from tests.support.chain.sdk_home import sdk_home

__all__ = ["sdk_home"]
