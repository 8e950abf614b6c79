"""Mixture to stems."""
