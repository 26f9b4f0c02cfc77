"""Comparing finished runs: arms paired with a baseline by seed, differences with intervals, a report."""
