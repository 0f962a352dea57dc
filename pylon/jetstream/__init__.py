"""JetStream: buckets, leases, queues and streams, and the meaning of its errors."""
