"""Label models, one file each: from votes to probabilities."""
