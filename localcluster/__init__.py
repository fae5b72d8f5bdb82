"""A real Kubernetes on one Debian machine, without a container engine.

Standard library only: it runs before any virtual environment exists. See README.md beside this file.
"""
