"""Metadata and music on disk."""
