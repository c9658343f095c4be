"""The package timm, where it is installed: beside a torchvision of another build than torch's, too."""

from functools import cache
from importlib.util import find_spec
from typing import Any

import pytest


def timm() -> Any:
    """The package; skips, saying how to get it, where it is not there."""
    if find_spec("timm") is None:
        pytest.skip("no timm here: pip install 'curate-media[timm]'")
    operators()
    import timm

    return timm


@cache
def operators() -> Any:
    """Define what torchvision expects of its own library, which loads beside torch's build of the same kind alone.

    No network of timm's asks for these; without them torchvision cannot be imported.
    """
    import torch

    library: Any = torch.library.Library
    made = library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            made.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return made
