"""Readers of hash lists, one file a format."""
