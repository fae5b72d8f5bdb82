"""kubectl videojob: jobs explained, followed and submitted from a terminal or a script."""
