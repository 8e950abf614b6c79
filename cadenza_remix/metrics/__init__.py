"""Metrics: enhanced and reference signals and a listener → scores."""
