"""A workspace filled row by row, its report as a page that is taken apart, and what a page may hold."""

import base64
import hashlib
import io
import json
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from curate.config import Config, ScreeningConfig
from curate.fetch.reasons import MEANING
from curate.progress import Progress
from curate.records import Reason
from curate.report.run import report
from curate.store.catalog import now
from curate.store.workspace import Workspace
from tests.support.weak import put

QUIET = Progress(quiet=True)
OFF = ScreeningConfig(required=False)


class Builder:
    """A workspace, filled row by row as the verbs would, without running them."""

    def __init__(self, root: Path, config: Config) -> None:
        root.mkdir(parents=True, exist_ok=True)
        (root / "curate.toml").write_text("# as built by the test\n", encoding="utf-8")
        self.ws = Workspace(root, config)
        self.at = 0

    def sql(self, text: str, *params: object) -> None:
        with self.ws.catalog.tx() as db:
            db.execute(text, params)

    def source(self, name: str, **options: object) -> str:
        sql = "INSERT INTO sources (source, plugin, options, listed) VALUES (?, ?, ?, 1)"
        self.sql(sql, name, name.partition(":")[0], json.dumps(options))
        return name

    def candidate(self, source: str, label: str | None, ref: str | None = None, **row: object) -> int:
        """A mention of a new candidate; `row` sets its state, reason, sample."""
        self.at += 1
        names = ["candidate", "kind", "locator", *row]
        values = [self.at, "url", f"https://media.test/item-{self.at}.jpg", *row.values()]
        self.sql(f"INSERT INTO candidates ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})", *values)
        self.mention(self.at, source, label, ref or f"lists/urls.txt:{self.at}")
        return self.at

    def mention(self, candidate: int, source: str, label: str | None, ref: str, axis: str = "content") -> None:
        self.sql("INSERT INTO mentions (candidate, source, ref) VALUES (?, ?, ?)", candidate, source, ref)
        if label is not None:
            self.sql("INSERT INTO declared VALUES (?, ?, ?, ?, ?)", candidate, source, ref, axis, label)

    def fail(self, source: str, reason: str, label: str | None = "neutral", ref: str | None = None) -> int:
        known = reason in MEANING and Reason(reason).retryable
        return self.candidate(source, label, ref, state="failed", reason=reason, retryable=known)

    def store(self, source: str, data: bytes, label: str | None = "neutral", ref: str | None = None) -> str:
        """A stored candidate with its sample and its bytes."""
        name = hashlib.sha256(data).hexdigest()
        self.ws.blobs.put([(name, data)])
        self.sql(
            "INSERT OR IGNORE INTO samples (id, sha1, md5, bytes, media_type, width, height)"
            " VALUES (?, 'a', 'b', ?, 'image/png', 64, 64)", name, len(data),
        )  # fmt: skip
        self.candidate(source, label, ref, state="stored", sample=name)
        return name

    def member(self, name: str, group: str, survivor: str, split: str = "train", excluded: str | None = None) -> None:
        self.sql("INSERT INTO members VALUES (?, ?, ?, ?, ?, ?)", name, group, survivor, survivor, split, excluded)

    def label(
        self, given: Mapping[str, tuple[str | None, float | None]], found: Mapping[str, object], axis: str = "content"
    ) -> None:
        of = next((one for one in self.ws.config.taxonomy.axes if one.name == axis), None)
        put(self.ws, given, axis=of, report=found)

    def decide(self, name: str, label: str, axis: str = "content", undoes: int | None = None) -> int:
        self.sql(
            "INSERT INTO decisions (sample, axis, taxonomy, reviewer, label, decided_at, shown, undoes)"
            " VALUES (?, ?, '1', 'ann', ?, ?, 'imported', ?)", name, axis, label, now(), undoes,
        )  # fmt: skip
        return int(self.ws.catalog.scalar("SELECT max(decision) FROM decisions"))

    def release(self, version: str, counts: Mapping[str, Mapping[str, int]], excluded: Mapping[str, int]) -> Path:
        path = self.ws.work / "releases" / version / "release.json"
        path.parent.mkdir()
        data = json.dumps({"version": version, "counts": counts, "excluded": excluded}).encode()
        path.write_bytes(data)
        self.sql("INSERT INTO releases VALUES (?, ?, NULL, ?, NULL)", version, hashlib.sha256(data).hexdigest(), now())
        return path

    def model(self, version: str, result: Mapping[str, object]) -> None:
        self.sql("INSERT INTO models VALUES (?, ?, ?, NULL)", version, version, json.dumps(result))


def png(seed: int, side: int = 64) -> bytes:
    """A harmless picture: coloured noise, so that detail and colour would show."""
    values = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(values).save(out, "PNG")
    return out.getvalue()


PICTURE = re.compile(r"data:image/(?:png|jpeg);base64,([A-Za-z0-9+/=]+)")


def shown(text: str) -> list[Image.Image]:
    """Every picture in a page, decoded."""
    return [Image.open(io.BytesIO(base64.b64decode(data))) for data in PICTURE.findall(text)]


class Page(HTMLParser):
    """The elements of a page, its tables as text, and what its style says."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.style, self.text = "", ""
        self._open: list[str] = []
        self._rows: list[list[str]] = []
        self._caption = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open.append(tag)
        if tag == "table":
            self._rows, self._caption = [], ""
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass
        if tag == "table":
            self.tables[self._caption] = self._rows

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            self.style += data
        else:
            self.text += data
        if "caption" in self._open:
            self._caption += data
        elif self._open and ("td" in self._open or "th" in self._open):
            self._rows[-1][-1] += data.strip()

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]

    def cells(self, caption: str) -> dict[str, list[str]]:
        """A table's body by its first cell."""
        return {row[0]: row[1:] for row in self.tables[caption][1:]}


def written(builder: Builder, extra: Mapping[str, Any] | None = None) -> str:
    return report(builder.ws, QUIET, extra).read_text(encoding="utf-8")


def stocked_set(builder: Builder) -> dict[str, str]:
    """Four samples of two classes (one collapsed, one held, one unlabelled), six failures of three reasons."""
    lists, folder = (
        builder.source("urllist:aa", path="/home/ann/raw_data"),
        builder.source("local:bb", label="drawings"),
    )
    ids = {
        "first": builder.store(lists, png(1)),
        "copy": builder.store(lists, png(2)),
        "drawing": builder.store(folder, png(3), "drawings", "stamps/cat.png"),
        "unlabelled": builder.store(folder, png(4), "drawings", "stamps/dog.png"),
        "held": builder.store(lists, png(5)),
    }
    builder.mention(1, folder, "neutral", "stamps/first.png")
    builder.member(ids["first"], ids["first"], ids["first"])
    builder.member(ids["copy"], ids["first"], ids["first"])
    builder.member(ids["drawing"], ids["drawing"], ids["drawing"], "test")
    builder.member(ids["unlabelled"], ids["unlabelled"], ids["unlabelled"], "val", "merged_with_test")
    builder.sql("INSERT INTO quarantine VALUES ('sample', ?, NULL, 'reported', ?)", ids["held"], now())
    for reason, n in (("http_404", 3), ("timeout", 2), ("placeholder", 1)):
        for _ in range(n):
            builder.fail(lists, reason)
    builder.candidate(lists, "neutral")
    builder.sql("INSERT INTO conflicts VALUES ('declared', ?, 'content', 'sources declare both', NULL)", ids["first"])
    weak = {ids["first"]: ("neutral", 0.9), ids["drawing"]: ("neutral", 0.6), ids["unlabelled"]: (None, None)}
    functions = [{"name": "drawing", "coverage": 0.5, "overlap": 0.25, "conflict": 0.125, "accuracy": None}]
    builder.label(weak, {"model": "snorkel", "functions": functions})
    builder.decide(ids["drawing"], "drawings")
    return ids


ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "header", "main", "footer", "nav", "section", "div", "span", "p",
    "h1", "h2", "h3", "h4", "ul", "ol", "li", "dl", "dt", "dd", "a", "b", "strong", "code", "time", "svg", "rect",
    "table", "caption", "thead", "tbody", "tr", "th", "td", "figure", "figcaption", "img",
}  # fmt: skip


def assert_sealed(text: str) -> Page:
    """Nothing in the page asks anybody for anything, and nothing in it can run."""
    page = Page(text)
    assert {tag for tag, _ in page.elements} <= ALLOWED
    for tag, attrs in page.elements:
        assert not {name for name in attrs if name.startswith("on") or name == "style"}, f"{tag}: {attrs}"
        for name in ("src", "srcset", "href", "xlink:href", "action", "poster", "data", "background"):
            value = attrs.get(name)
            assert value is None or PICTURE.fullmatch(value) or re.fullmatch(r"#\w+", value), f"{tag} {name}={value}"
    assert "://" not in text
    assert not re.search(r"url\(|@import|expression", page.style)
    policy = next(m["content"] or "" for m in page.of("meta") if m.get("http-equiv") == "Content-Security-Policy")
    sealed = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; img-src data:; ")
    assert f"style-src 'sha256-{sealed}'" in policy
    assert "unsafe" not in policy
    return page
