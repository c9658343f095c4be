"""The demo: real, harmless images behind a loopback server that behaves as badly as the web."""
