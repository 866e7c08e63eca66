"""Scorers that need no sandbox: functions from an eval item, its checks and a response."""
