"""Sources: where media come from, one file a system."""
