"""One reference interface a package; none knows another."""
