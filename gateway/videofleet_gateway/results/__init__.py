"""Results as they lie in the archive."""
