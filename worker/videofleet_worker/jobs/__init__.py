"""What the worker was told to run, and what it tells about that."""
