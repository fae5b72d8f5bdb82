"""Detection models: folders of weights, sessions, batches over streams."""
