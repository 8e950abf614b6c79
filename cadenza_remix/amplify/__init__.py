"""Stereo and listener to amplified stereo."""
