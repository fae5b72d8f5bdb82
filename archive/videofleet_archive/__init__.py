"""The archive of results: logs of SSE bytes, their sidecars, summaries and pictures."""
