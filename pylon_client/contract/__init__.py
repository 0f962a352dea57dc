"""The wire contract: subjects, models, operations and failures, with no input or output.

Whoever speaks to Pylon, over HTTP or NATS, in Python or not, speaks what this package defines.
"""
