"""`curate new`: a commented plug-in of one's own to start from."""

import keyword
from pathlib import Path

from curate.errors import UsageError
from curate.plugins import names
from curate.store.blobs import write

KINDS = {"source": "sources", "labeler": "labelers", "format": "manifests"}
USE = {"source": '[[sources]] use = "{}"', "labeler": '[[labelers]] use = "{}"', "format": '[export] formats = ["{}"]'}
_HEAD = '''\
"""A {kind} of our own. curate.toml names it: {use}

The class bears the file's name, its fields are its options. What is wrong with it is said by
`curate doctor --plugin {file}`.
"""
'''
_SOURCE = '''
import csv
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from curate.contracts import Http
from curate.errors import UsageError
from curate.records import Candidate, Locator, Page


@dataclass(frozen=True)
class {cls}:
    """What a CSV file with the columns url and label names, a row a candidate, in the order of the file."""

    path: Path  # an option; relative to curate.toml

    contract: ClassVar[int] = 1  # the version of curate's contract that this keeps

    def classes(self) -> frozenset[str | None]:
        """Every class that it can yield; None where a row may have no label."""
        return frozenset(row["label"] or None for row in self._rows())

    async def pages(self, http: Http, cursor: str | None) -> AsyncIterator[Page]:
        """All rows as one page. A source with many pages gives each a cursor, which must mean the same tomorrow;
        `http.get(url)` asks the network, politely."""
        rows = enumerate(self._rows(), start=2)
        found = (
            Candidate(Locator("url", row["url"]), f"{{self.path.name}}:{{n}}", row["label"] or None) for n, row in rows
        )
        yield Page(tuple(found), cursor=None)

    def _rows(self) -> list[dict[str, str]]:
        try:
            with self.path.open(encoding="utf-8", newline="") as file:
                return list(csv.DictReader(file))
        except OSError as error:
            raise UsageError(f"sources.{name}.path: {{self.path}}: {{error.strerror}}") from error
'''
_LABELER = '''
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from curate.contracts import Decoded, Resources
from curate.records import Axis


@dataclass(frozen=True)
class {cls}:
    """How bright a picture is: mean luminance in [0, 1]."""

    contract: ClassVar[int] = 1  # the version of curate's contract that this keeps
    version: ClassVar[int] = 1  # raise it when answers change
    needs: ClassVar[Resources] = Resources(batch=64, side=256)  # the shorter side of pictures, in px
    columns: ClassVar[Mapping[str, str]] = {{"mean": "float32"}}  # what it says; "float16[128]" is a vector

    def load(self) -> None:
        """Open weights here, and import what is heavy: workers are shut off from files and network after it."""

    def label(self, batch: Sequence[Decoded]) -> Mapping[str, np.ndarray]:
        """One number a sample, in order, whatever comes with it; NaN abstains."""
        means = [np.asarray(one.image(256).convert("L"), dtype=np.float32).mean() / 255 for one in batch]
        return {{"mean": np.array(means, dtype=np.float32)}}


def functions(axis: Axis, columns: Collection[str]) -> list[Any]:
    """Votes from the column `{name}_mean`, the threshold in sight; none where the axis has no class for them."""
    from snorkel.labeling import LabelingFunction

    if "drawings" not in axis.classes:
        return []
    drawings = axis.classes.index("drawings")
    return [LabelingFunction("{name}_bright", lambda x: drawings if x.{name}_mean > 0.95 else -1)]
'''
_FORMAT = '''
import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from curate.records import Manifest


@dataclass(frozen=True)
class {cls}:
    """`train.jsonl`, `val.jsonl`, `test.jsonl`: one JSON object a line."""

    contract: ClassVar[int] = 1  # the version of curate's contract that this keeps

    def write(self, release: Manifest, out: Path) -> None:
        """Rows as they come, keys sorted: same release, same bytes. `release.header` is what it was made under."""
        for split, rows in release.rows.items():
            lines = (json.dumps(row, sort_keys=True) + "\\n" for row in rows.to_pylist())
            (out / f"{{split}}.jsonl").write_text("".join(lines), encoding="utf-8")
'''
_TEXT = {"source": _SOURCE, "labeler": _LABELER, "format": _FORMAT}


def new(kind: str, name: str, folder: Path) -> dict[str, str]:
    """Write `NAME.py`; the file, and what names it in curate.toml. Raises UsageError for a name that cannot be one, or
    that is taken."""
    if kind not in KINDS:
        raise UsageError(f"new {kind}: no such kind; there are: {', '.join(KINDS)}")
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_") or name != name.lower():
        raise UsageError(f"new {kind} {name}: a name is of small letters, digits and _, a letter first")
    if name in names(KINDS[kind]):
        raise UsageError(f"new {kind} {name}: curate has a {kind} of that name; give another one")
    path = folder / f"{name}.py"
    if path.exists() or path.is_symlink():
        raise UsageError(f"{path}: is there already; nothing was written")
    said = {"kind": kind, "name": name, "cls": name.title().replace("_", ""), "file": path.name}
    use = USE[kind].format(f"./{name}.py")
    write(path, (_HEAD.format(**said, use=use) + _TEXT[kind].format(**said)).encode())
    return {"file": str(path), "use": use, "next": f"curate doctor --plugin {path}"}
