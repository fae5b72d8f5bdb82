"""Tasks: videos that are analysed once, with one log of results each. What V serves and the page shows."""
