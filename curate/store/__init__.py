"""Where facts are kept: a SQLite catalog, content-addressed blobs, Parquet tables."""
