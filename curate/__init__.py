"""Dataset curation and labelling for content moderation: the kernel, which imports no plug-in."""

__version__ = "0.1.0"
