"""Remote services that say whether a hash is listed, one file a service. Bytes never leave."""
