"""What worker and bridge share as processes: logs, metrics, error reports.

They never import each other, so it stands here; the client itself needs none of it, and what it
imports comes with the extra `service`.
"""
