"""An RTSP camera simulator that plays one clip endlessly and breaks on demand."""
