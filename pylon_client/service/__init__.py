"""The address of the REST service's app."""
