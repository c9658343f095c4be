"""What can be seen of a plug-in without running it."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from curate.plugins import broken


def shape(package: str, plugin: Any) -> Iterator[str]:
    """What is wrong with the shape of a plug-in, or of its class."""
    cls = plugin if isinstance(plugin, type) else type(plugin)
    if not dataclasses.is_dataclass(cls):
        yield "is no dataclass: its fields are its options"
        return
    if not (cls.__doc__ or "").strip() or (cls.__doc__ or "").startswith(f"{cls.__name__}("):  # what dataclasses write
        yield "has no docstring"
    yield from broken(package, plugin)
