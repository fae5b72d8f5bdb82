"""VideoJobs as all dialects see them: read from a cache, changed in their spec alone."""
