"""The guarded, polite client: the only thing that fetches media."""
