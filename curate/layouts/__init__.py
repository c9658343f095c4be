"""How datasets lie on disk: read by sources and by `check`, so that both see the same pictures in the same folder."""
