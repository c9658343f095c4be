"""Hash lists, one file a format; the index; the gate that every byte passes before it is kept."""
