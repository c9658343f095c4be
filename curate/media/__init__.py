"""Decoding inside limits, and perceptual hashes."""
