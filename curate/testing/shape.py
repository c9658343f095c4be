"""What can be seen of a plug-in without running it."""

import dataclasses
import sys
from collections.abc import Iterator
from typing import Any

from curate.plugins import broken


def shape(package: str, plugin: Any) -> Iterator[str]:
    """What is wrong with the shape of a plug-in, or of its class."""
    cls = plugin if isinstance(plugin, type) else type(plugin)
    if not dataclasses.is_dataclass(cls):
        yield "is no dataclass: its fields are its options"
        return
    said = (cls.__doc__ or "").strip()
    dataclasses_own = said.startswith(f"{cls.__name__}(")
    if (not said or dataclasses_own) and sys.flags.optimize < 2:  # -OO takes them away
        yield "has no docstring"
    yield from broken(package, plugin)
