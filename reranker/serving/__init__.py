"""What one sidecar process keeps between requests: clients, caches, models, queues."""
