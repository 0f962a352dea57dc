"""The address of the REST API's app for ASGI servers, and a template of its settings.

The app itself is in the distribution `pylon-service`, which the extra `service` installs.
"""
