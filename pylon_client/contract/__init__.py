"""The wire contract: subjects, models, operations and failures, without input or output.

All clients and services of Pylon, over HTTP and NATS, follow this package.
"""
