"""Manifests: how a release leaves, one file a format."""
