"""Tiercel: the system calls of a whole fleet, captured, enriched, matched against rules, and kept."""

from importlib.metadata import version

__version__ = version("tiercel")
