"""Slices: parts of the samples that a user's `@slicing_function()` names, and how the labels fare on each."""

import sys


def is_slicing(function: object) -> bool:
    """Whether it is Snorkel's SlicingFunction, which is a LabelingFunction by its class and casts no vote."""
    module = sys.modules.get("snorkel.slicing")  # who has not imported it has made none; it is slow to import
    return module is not None and isinstance(function, module.SlicingFunction)
