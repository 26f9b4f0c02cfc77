"""Checks of whether this machine can train with a given configuration."""
