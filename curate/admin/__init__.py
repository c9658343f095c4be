"""Look after a workspace: `curate init`, `status`, `verify`, `doctor`. One file a verb."""
