"""A trained model as files, and what it is worth."""
