"""Video sources: opening, reconnecting and delivering the frames of one stream."""
