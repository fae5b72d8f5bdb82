"""`videofleet`: the worker's pipeline for one clip, on this machine, without a cluster."""
