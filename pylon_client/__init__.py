"""The Python client of Pylon; its public names are in `pylon_client.v1`."""
