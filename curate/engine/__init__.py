"""Where work runs. An engine is a map."""
