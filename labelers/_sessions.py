"""Where the weights of ours lie, and what opens them."""

from pathlib import Path

from curate.media.networks import devices, opened, providers, read

WEIGHTS = Path(__file__).parent / "_weights"

__all__ = ["WEIGHTS", "devices", "opened", "providers", "read"]
