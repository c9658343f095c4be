"""A release as a dataset for the Hugging Face Hub: Parquet files with the pictures in them, and a card (README.md)."""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from curate.layouts.exported import suffix
from curate.records import SPLITS, Manifest
from manifests import _facts as facts
from manifests._files import sha256

NAMES = {"train": "train", "val": "validation", "test": "test"}
_MARKUP = re.compile(r"[\\`*_\[\]<>|#~!]")
_SAID = b"huggingface"  # the key under which a file says what its columns are
SHARD = 400 * 2**20  # bytes of pictures in a file, about
GROUP = 100  # rows that are read at a time, and lie together
LEFT_OUT = ("split", "parent", "at_ms", "votes", "ref", "upstream")
KNOWN = {  # licences by the names that the Hub knows
    "cc0": "cc0-1.0", "cc0 1.0": "cc0-1.0", "cc by 4.0": "cc-by-4.0", "cc by 3.0": "cc-by-3.0",
    "cc by 2.0": "cc-by-2.0", "cc by-sa 4.0": "cc-by-sa-4.0", "cc by-sa 3.0": "cc-by-sa-3.0",
    "cc by-nc 4.0": "cc-by-nc-4.0", "apache-2.0": "apache-2.0", "mit": "mit",
}  # fmt: skip
SIZES = (
    (1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10_000_000, "1M<n<10M"),
)  # fmt: skip


@dataclass(frozen=True)
class Huggingface:
    """`data/train-00000-of-00001.parquet` and so on (`val` is `validation`), and `README.md`.

    `image` holds the bytes and a name, `label` the place of the class among the card's; the other columns are those of
    a row. The card says which classes there are, that some are not for everybody where that is so, and what is known
    of licences and screening.
    """

    media: ClassVar[bool] = True

    def remove(self, ids: Collection[str], release: Manifest, out: Path) -> None:
        """Write those files anew that hold one of the ids, with the rows that stay in them, then the card. Raises
        ValueError where a file would be left empty, or is not what was written: their names count them."""
        classes = facts.classes(release)
        for split in SPLITS:
            for path in sorted((out / "data").glob(f"{NAMES[split]}-*.parquet")):
                _without(path, ids, release.rows[split], _schema(release, split, classes))
        (out / "README.md").write_text(_card(release, classes), encoding="utf-8")

    def write(self, release: Manifest, out: Path) -> Mapping[str, str]:
        """Write each split that has rows, then the card."""
        (out / "data").mkdir()
        classes, digests = facts.classes(release), {}
        for split in SPLITS:
            for path in _write(release, split, classes, out / "data"):
                digests[f"data/{path.name}"] = sha256(path)
        (out / "README.md").write_text(_card(release, classes), encoding="utf-8")
        return digests


# -- rows ------------------------------------------------------------------------------------------------------------


def _write(release: Manifest, split: str, classes: Sequence[str], out: Path) -> list[Path]:
    """The files of a split; they are named once it is known how many there are."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema(release, split, classes)
    pairs, parts = release.pictures(split), list[Path]()
    writer, written = None, 0
    while lot := list(islice(pairs, GROUP)):
        if writer is None:
            parts.append(out / f".{split}-{len(parts)}")
            writer, written = pq.ParquetWriter(parts[-1], schema, compression="zstd"), 0
        rows = [_row(row, data, classes, schema.names) for row, data in lot]
        writer.write_table(pa.Table.from_pylist(rows, schema=schema), row_group_size=GROUP)
        written += sum(len(data) for _, data in lot)
        if written > SHARD:
            writer.close()
            writer = None
    if writer is not None:
        writer.close()
    return [one.rename(out / f"{NAMES[split]}-{n:05}-of-{len(parts):05}.parquet") for n, one in enumerate(parts)]


def _without(path: Path, ids: Collection[str], rows: Any, schema: Any) -> None:
    """The file with those of its rows alone that are among `rows`, and as they are there."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    asked = pa.array(sorted(ids), pa.string())
    part, left = path.with_name(f".{path.name}"), 0
    with pq.ParquetFile(path) as old:
        if not pc.any(pc.is_in(old.read(["id"]).column("id"), value_set=asked)).as_py():
            return
        if (old.schema_arrow.metadata or {}).get(_SAID) != schema.metadata[_SAID]:
            raise ValueError(f"{path.name} has other classes or columns")
        with pq.ParquetWriter(part, schema, compression="zstd") as new:
            for number in range(old.num_row_groups):
                table = old.read_row_group(number)
                if pc.any(pc.is_in(table.column("id"), value_set=asked)).as_py():
                    table = _as_in(rows, table, schema)
                left += len(table)
                if len(table):
                    new.write_table(table.cast(schema), row_group_size=GROUP)
    if not left:
        raise ValueError(f"{path.name} would be empty")
    part.replace(path)


def _as_in(rows: Any, table: Any, schema: Any) -> Any:
    """Those rows of a file's table that are among a release's, and as they are there: a group may have another name."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = table.filter(pc.is_in(table.column("id"), value_set=rows.column("id")))
    now = rows.take(pc.index_in(table.column("id"), value_set=rows.column("id")))
    columns = {name: table.column(name) if name in ("image", "label") else now.column(name) for name in schema.names}
    return pa.table(columns)


def _row(row: Mapping[str, Any], data: bytes, classes: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    picture = {"bytes": data, "path": f"{row['id']}.{suffix(row)}"}
    return {name: row.get(name) for name in names} | {"image": picture, "label": classes.index(row["label"])}


def _schema(release: Manifest, split: str, classes: Sequence[str]) -> Any:
    """The columns, with what they are to the `datasets` library in the file's metadata."""
    import pyarrow as pa

    image = pa.field("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    rows = release.rows[split].schema
    rest = [pa.field(one.name, one.type) for one in rows if one.name not in (*LEFT_OUT, "label")]
    said = {"info": {"features": {name: _feature(kind, classes) for name, kind in _columns(release)}}}
    return pa.schema([image, pa.field("label", pa.int64()), *rest], {"huggingface": json.dumps(said)})


def _columns(release: Manifest) -> Iterator[tuple[str, str]]:
    """Each column and its type, as `datasets` calls it."""
    import pyarrow.types as types

    yield from (("image", "image"), ("label", "label"))
    for one in release.rows["train"].schema:
        if one.name not in (*LEFT_OUT, "label"):
            yield (
                one.name,
                "int64" if types.is_integer(one.type) else "float64" if types.is_floating(one.type) else "string",
            )


def _feature(kind: str, classes: Sequence[str]) -> dict[str, Any]:
    if kind == "image":
        return {"_type": "Image"}
    return {"names": list(classes), "_type": "ClassLabel"} if kind == "label" else {"dtype": kind, "_type": "Value"}


# -- the card --------------------------------------------------------------------------------------------------------


def _card(release: Manifest, classes: Sequence[str]) -> str:
    lines = ["---", *_metadata(release, classes), "---", "", f"# Release {release.version}", "", *_said(release)]
    return "\n".join(lines) + "\n"


def _metadata(release: Manifest, classes: Sequence[str]) -> Iterator[str]:
    """The card's YAML; texts are quoted as JSON, which is YAML."""
    n = facts.size(release)
    yield f"license: {_license(release)}"
    yield from ("task_categories:", "- image-classification")
    yield from ("size_categories:", f"- {next((name for most, name in SIZES if n < most), 'n>10M')}")
    yield from ("tags:", "- content-moderation", *(["- not-for-all-audiences"] if facts.unsafe(release) else []))
    yield from ("configs:", "- config_name: default", "  data_files:")
    for split in SPLITS:
        if len(release.rows[split]):
            yield from (f"  - split: {NAMES[split]}", f"    path: data/{NAMES[split]}-*")
    yield from ("dataset_info:", "  features:")
    for name, kind in _columns(release):
        if kind == "label":
            yield from ("  - name: label", "    dtype:", "      class_label:", "        names:")
            yield from (
                f"          '{place}': {json.dumps(one, ensure_ascii=False)}" for place, one in enumerate(classes)
            )
        else:
            yield from (f"  - name: {json.dumps(name)}", f"    dtype: {kind}")


def _license(release: Manifest) -> str:
    """The one licence that all rows have, as the Hub calls it; `other` where they are several, `unknown` where none is
    on record."""
    known = facts.counted(release, "license")
    if not known:
        return "unknown"
    names = {KNOWN.get(str(one).lower()) for one in known}
    alone = next(iter(names)) if len(names) == 1 and sum(known.values()) == facts.size(release) else None
    return alone or "other"


def _said(release: Manifest) -> Iterator[str]:
    rows = ", ".join(f"{NAMES[split]} {len(release.rows[split]):,}" for split in SPLITS)
    yield f"A labelled dataset of pictures for content moderation: {rows}."
    if found := facts.unsafe(release):
        yield from (
            "",
            f"**Not for all audiences**: it has the classes {', '.join(found)}. Ask for access (a gated repository).",
        )
    yield from ("", "## Labels", "", f"{_text(facts.labels(release))} {_text(facts.per_item(release))}")
    yield from ("", "## Splits", "", _text(facts.apart(release)))
    yield from ("", "## Screening", "", _text(facts.screening(release)))
    yield from (
        "",
        "## Licences",
        "",
        f"{_text(facts.licences(release))} `license`, `attribution` and `page_url` are each row's own.",
    )
    yield from ("", "## Removals", "", _removals(release))


def _text(said: str) -> str:
    """Words of strangers as words, and as no Markdown."""
    return _MARKUP.sub(r"\\\g<0>", said)


def _removals(release: Manifest) -> str:
    feed = release.header.get("removals")
    where = f" What is taken down is named in `{feed}`, by `id`." if feed else ""
    return f"Pictures may be taken out later.{where} Whom to ask: {facts.UNKNOWN.lower()}"
