"""The demonstration: a real Kubernetes, the chart, cameras, jobs, and a fault that heals.

Standard library only, so that it runs before anything is installed.
"""
