"""Decisions, without input or output: no kopf, no kubernetes, no asyncio, no logging, no clock."""
