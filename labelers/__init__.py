"""Labelers: what votes on a sample, one file a family."""
