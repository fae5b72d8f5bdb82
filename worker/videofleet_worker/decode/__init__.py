"""Demuxing and decoding, each source in a process of its own."""
