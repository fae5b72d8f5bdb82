"""One module a command: what it asks, and how its answer looks."""
