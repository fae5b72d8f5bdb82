"""From frames to results: planning a job, running it, writing what it found."""
