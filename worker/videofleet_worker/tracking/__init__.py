"""Tracking of detected objects over the frames of one stream."""
