"""The class that sources declare for a sample: a vote like any other, and no more than that."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from curate.contracts import Decoded, Resources
from curate.records import Axis
from labelers._columns import Columns, voter

if TYPE_CHECKING:
    import numpy as np
    from snorkel.labeling import LabelingFunction


@dataclass
class Declared:
    """What the sources of a sample say it is, where those that say anything agree.

    Column `labels`: a JSON object from axis to class (`{"content": "neutral"}`), with every axis left out on which
    nothing is declared, or on which two sources contradict each other; null where no axis is left. Reads no pixels and
    is never cached, since a later fetch may declare more.
    """

    version: ClassVar[int] = 1
    needs: ClassVar[Resources] = Resources(side=0, batch=4096)
    columns: ClassVar[Mapping[str, str]] = {"labels": "string"}

    def load(self) -> None:
        """Nothing to load."""

    def label(self, batch: Sequence[Decoded]) -> "Mapping[str, np.ndarray]":
        """The agreed classes of each sample."""
        import numpy as np

        return {"labels": np.array([_agreed(*one.declared.items()) for one in batch], dtype=object)}


@lru_cache(maxsize=1024)
def _agreed(*declared: tuple[str, tuple[str, ...]]) -> str | None:
    agreed = {axis: classes[0] for axis, classes in declared if len(classes) == 1}
    return json.dumps(agreed, sort_keys=True, ensure_ascii=False) if agreed else None


def functions(axis: Axis, columns: Collection[str]) -> "list[LabelingFunction]":
    """One vote: the declared class, where the axis has it."""
    if "declared_labels" not in columns:
        return []
    index = {name: n for n, name in enumerate(axis.classes)}

    @lru_cache(maxsize=1024)
    def place(labels: str | None) -> int:
        return index.get(json.loads(labels).get(axis.name), -1) if labels else -1

    def rule(c: Columns) -> "np.ndarray":
        import numpy as np

        return np.array([place(one) for one in c["declared_labels"]], dtype=np.int64)

    return [voter("declared", rule, ["declared_labels"], None)]
