"""A release in its formats: what each is given, what lies beside it, and what of it is known afterwards."""

import hashlib
import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate import __version__
from curate.contracts import Engine, ReleaseFormat
from curate.errors import GateError
from curate.features.leaving import treatment
from curate.layouts.exported import (
    ATTRIBUTION,
    BESIDE,
    HEADER,
    PUBLIC,
    SIGNATURE,
    SUMS,
    cells,
    read_sums,
    sums_text,
    write_csv,
)
from curate.options import is_said
from curate.progress import Progress
from curate.records import SPLITS, Axis, Manifest
from curate.release.pictures import Leaving, leaving_of
from curate.release.reader import HEADER as RELEASE
from curate.release.reader import unsafe
from curate.release.signing import Signer, comment, feed_of
from curate.store.blobs import sync, write
from curate.store.file_digests import digest

if TYPE_CHECKING:
    from curate.store.workspace import Workspace

SCHEMA = 1  # of export.json
_SAID = {
    "metadata": "EXIF (but for the orientation), GPS, XMP, comments, embedded previews and what follows the picture are"
    " taken out; a whole ICC profile stays",
    "orientation": "a tag, where the file is as it was or was rewritten: turn the picture by it (Pillow:"
    " ImageOps.exif_transpose); applied to the pixels where they were coded anew",
    "transparency": "as it was; labels are about the picture on white",
    "frames": "all of an animation; labels are about its first one, unless a labeler says otherwise",
}
_CREDITED = ("id", "split", "license", "license_url", "attribution", "source", "url", "page_url", "upstream")


@dataclass
class Formats:
    """What formats of one release need: its rows, and once one of them asks for it, its pictures.

    `acknowledged` is what somebody said who exports pictures of classes that are not safe. `signer` signs each of them.
    """

    ws: "Workspace"
    release: Manifest
    engine: Engine
    progress: Progress
    acknowledged: str | None = None
    signer: Signer | None = None

    def write(self, name: str, one: ReleaseFormat, out: Path) -> dict[str, str]:
        """Write the release in a format into a folder that is there, and empty; the sha256 of every file, by name."""
        given = self._given(one)  # which examines pictures, in a stage of its own
        with self.progress.stage(name, 1) as step:
            said = dict(one.write(given, out) or {})
            found = self._finish(name, one, out, said.get)
            step()
        return found

    def without(self, ids: Collection[str], name: str, one: ReleaseFormat, out: Path) -> dict[str, str]:
        """The same of a folder that holds the release as it was, with these ids that are gone, or have another row.

        Raises ValueError for one whose pictures would leave as other bytes now, so that all are to be written anew.
        """
        known, before = read_sums((out / SUMS).read_bytes()), _stamps(out)
        given = self._given(one)
        if is_media(one):  # what is held back since is in no row of `given`
            said = json.loads((out / HEADER).read_bytes())
            if said["pictures"].get("treatment") != treatment(self.ws):
                raise ValueError(f"{out}: its pictures were made by other settings, or by another Pillow")
            ids = {*ids, *(self.pictures.left_out.keys() - said["left_out"].keys())}
        one.remove(ids, given, out)  # type: ignore[attr-defined]
        after = _stamps(out)
        found = self._finish(name, one, out, lambda file: known.get(file) if before.get(file) == after[file] else None)
        for folder, _, _ in os.walk(out):
            sync(Path(folder))
        return found

    @cached_property
    def pictures(self) -> Leaving:
        """The pictures, each of which is examined where it was not."""
        ids = [one for split in SPLITS for one in self.release.rows[split].column("id").to_pylist()]
        return leaving_of(self.ws, ids, self.engine, self.progress)

    @cached_property
    def _media(self) -> Manifest:
        """The release as formats with pictures are given it."""
        rows = {split: self._leaving(self.release.rows[split]) for split in SPLITS}
        header = {**self.release.header, "unsafe": unsafe(self.release, self.ws.config.taxonomy.axes)}
        return replace(self.release, header=header, rows=rows, source=self.pictures)

    def _given(self, one: ReleaseFormat) -> Manifest:
        return self._media if is_media(one) else self.release

    def _leaving(self, rows: Any) -> Any:
        import pyarrow as pa

        treated = self.pictures.treated
        kept = rows.filter(pa.array([one in treated for one in rows.column("id").to_pylist()], pa.bool_()))
        each = [treated[one] for one in kept.column("id").to_pylist()]
        for name, values in (("sha256", [t.sha256 for t in each]), ("media_type", [t.media_type for t in each])):
            kept = kept.append_column(pa.field(f"exported_{name}", pa.string(), False), pa.array(values, pa.string()))
        return kept

    def _finish(self, name: str, one: ReleaseFormat, out: Path, known: Callable[[str], str | None]) -> dict[str, str]:
        """Write what lies beside a format's own files; the sha256 of every file, asked of `known` first."""
        if is_media(one):
            text = json.dumps(self._header(name), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
            write(out / HEADER, text.encode())
            self._attribute(out / ATTRIBUTION)
        files = sorted(_stamps(out).keys() - {SUMS, PUBLIC, SIGNATURE})
        found = {file: (None if file in BESIDE else known(file)) or digest(out / file) for file in files}
        write(out / SUMS, sums_text(found).encode("utf-8", "surrogateescape"))
        return found | {SUMS: digest(out / SUMS)} | signed(self.ws, out, self.release.version, self.signer)

    def _header(self, name: str) -> dict[str, Any]:
        header, rows, pictures = self.release.header, self._media.rows, self.pictures
        ids = [one for split in SPLITS for one in rows[split].column("id").to_pylist()]
        as_stored = sum(pictures.treated[one].sha256 == one for one in ids)
        anew = sum(pictures.treated[one].cut is None for one in ids)
        return {
            "schema": SCHEMA,
            "tool": f"curate-media {__version__}",
            "format": name,
            "version": self.release.version,
            "release": hashlib.sha256((self.release.path / RELEASE).read_bytes()).hexdigest(),
            "rows": {split: rows[split].num_rows for split in SPLITS},
            "classes": sorted({one for split in SPLITS for one in rows[split].column("label").to_pylist()}),
            "acknowledged": self.acknowledged,
            "screening": header.get("screening"),
            "notices": header.get("notices", {}),
            "pictures": {
                **_SAID,
                "max_side": self.ws.config.export.max_side,
                "treatment": treatment(self.ws),
                "as_stored": as_stored,
                "rewritten": len(ids) - as_stored - anew,
                "coded_anew": anew,
            },
            "left_out": dict(sorted(pictures.left_out.items())),
        }

    def _attribute(self, path: Path) -> None:
        """Who is to be named for each picture, as the sources have it."""
        rows = (row for split in SPLITS for row in cells(_credits(self._media.rows[split])))
        write_csv(path, _CREDITED, rows)


def _credits(rows: Any) -> Any:
    """The columns of `attribution.csv`; a release that was made before there were some of them has nulls there."""
    import pyarrow as pa

    nulls = pa.nulls(rows.num_rows, pa.string())
    return pa.table({name: rows.column(name) if name in rows.column_names else nulls for name in _CREDITED})


def signed(ws: "Workspace", out: Path, version: str, signer: Signer | None) -> dict[str, str]:
    """Sign what an exported folder says its files are, with the public key beside it; without a signer nothing is left
    that says it was signed. The sha256 of what was written."""
    for name in (PUBLIC, SIGNATURE):
        (out / name).unlink(missing_ok=True)
    if signer is None:
        return {}
    write(out / PUBLIC, signer.public_file)
    signer.sign(out / SUMS, comment(version, feed_of(ws)))
    return {name: digest(out / name) for name in (PUBLIC, SIGNATURE)}


def is_media(one: object) -> bool:
    """Whether pictures leave with a format."""
    return bool(getattr(one, "media", False))


def check_formats(
    release: Manifest, formats: Mapping[str, ReleaseFormat], text: str | None, axes: Sequence[Axis] = ()
) -> None:
    """Refuse, before anything is written, rows that a format cannot hold (UsageError); and to let pictures of classes
    that are not safe leave without a word of who answers for it (GateError). A class is safe where the release calls it
    that, and the `axes` of today's taxonomy do not say otherwise."""
    for one in formats.values():
        if (check := getattr(one, "check", None)) is not None:
            check(release)
    media = sorted(name for name, one in formats.items() if is_media(one))
    if media and not is_said(text) and (classes := unsafe(release, axes)):
        raise GateError(
            f"{', '.join(media)}: pictures of {', '.join(classes)} would leave, which [taxonomy] does not call safe;"
            " say who answers for it, and why (--acknowledge TEXT, acknowledge=TEXT): the export keeps it"
        )


def acknowledged(ws: "Workspace", version: str, name: str) -> str | None:
    """What was said when a release was exported in a format: by the log; by the folder itself, which may be damaged,
    where the log does not know."""
    known = ws.catalog.all(_SAID_OF, (ws.catalog.digest("id", version), name))
    if known:
        return str(known[0][0])
    try:
        said = json.loads((ws.work / "exports" / version / name / HEADER).read_bytes()).get("acknowledged")
    except (OSError, ValueError, AttributeError):
        return None
    return said if isinstance(said, str) else None


_SAID_OF = """
SELECT json_extract(detail, '$.acknowledged') FROM log WHERE action = 'export' AND subject = ?1
    AND json_extract(detail, '$.acknowledged') IS NOT NULL AND coalesce(json_extract(detail, '$.format'), ?2) = ?2
ORDER BY seq DESC LIMIT 1
"""


def _stamps(out: Path) -> dict[str, tuple[int, int, int]]:
    """What tells a file that was written since: its inode, size and time, by name."""
    found, begin = {}, len(f"{out}/")
    for folder, _, names in os.walk(out):
        for name in names:
            path = f"{folder}/{name}"
            at = os.stat(path)  # noqa: PTH116 (of a hundred thousand files)
            found[path[begin:]] = (at.st_ino, at.st_size, at.st_mtime_ns)
    return found
