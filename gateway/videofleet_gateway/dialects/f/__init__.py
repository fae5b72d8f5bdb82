"""F: the job interface of FindFace video-manager."""
