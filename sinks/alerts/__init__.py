"""Alerts to people and their programs: a file a sink, each behind a lane of its own (`lane`)."""
