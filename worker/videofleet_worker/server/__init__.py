"""What the worker serves: the operator and readers over mutual TLS, probes and metrics in the clear."""
