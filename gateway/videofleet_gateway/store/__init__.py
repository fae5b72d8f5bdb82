"""What the gateway itself remembers, in a SQL database: projects, keys, windows of requests."""
