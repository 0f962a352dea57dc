"""The synchronous client; its API modules are generated from `pylon_client._async`."""
