"""The gateway: the reference interfaces over VideoJobs."""
