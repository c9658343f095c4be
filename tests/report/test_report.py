"""`curate report`: its figures are the catalog's, its page is sealed, and what is not called safe is not in it."""

import base64
import hashlib
import io
import itertools
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from curate.config import Config, ScreeningConfig
from curate.fetch.reasons import MEANING
from curate.media import thumbnail
from curate.options import Plugin
from curate.progress import Progress
from curate.records import Axis, Reason, Taxonomy
from curate.release.export import export
from curate.report import contact_sheet
from curate.report import counts as figures
from curate.report.models import matrix
from curate.report.run import gather, report
from curate.stats.metrics import Predictions, evaluate, said_by
from curate.store.catalog import now
from curate.store.workspace import Workspace
from tests.support.releases import SCREENED, Item, stocked
from tests.support.weak import put

QUIET = Progress(quiet=True)
HOSTILE = '"><script>alert(1)</script><img src=http://evil.test/x onerror=alert(2)>'
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


def jpeg_with_secrets() -> bytes:
    """A JPEG whose EXIF and comment say what a thumbnail must not."""
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "SECRET-DESCRIPTION"
    image = Image.open(io.BytesIO(png(7, 300)))
    image.save(out, "JPEG", quality=95, exif=exif, comment=b"SECRET-COMMENT")
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


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Builder]:
    builder = Builder(tmp_path / "set", Config(screening=OFF))
    yield builder
    builder.ws.close()


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


def test_the_page_has_slices_the_bootstrap_and_why_a_function_failed(build: Builder) -> None:
    lists = build.source("urllist:aa", path="/home/ann/raw_data")
    name = build.store(lists, png(1))
    build.member(name, name, name)
    voting: dict[str, Any] = {
        "coverage": 0.5,
        "overlap": 0.0,
        "conflict": 0.0,
        "accuracy": None,
        "remarks": [],
        "help": None,
    }
    sliced = {"name": "tall", "samples": 7, "labelled": 5, "accuracy": 0.75, "interval": [0.3, 0.95], "gold": 4,
              "faults": 1, "fault": "ValueError: no"}  # fmt: skip
    functions = [
        voting | {"name": "votes"}, voting | {"name": "silent", "coverage": 0.0},
        voting | {"name": "mine", "coverage": 0.0, "help": "mine never votes: loosen it"},
        voting | {"name": "broken", "coverage": 0.0, "faults": 3, "fault": "KeyError: x"},
    ]  # fmt: skip
    found = {"functions": functions, "slices": [sliced], "bootstrap": {"does": "fills", "said": "filled 3 that"}}
    build.label({name: ("neutral", 0.9)}, found)
    page = Page(report(build.ws, QUIET).read_text())
    assert page.cells("Slices")["tall"] == ["7", "5", "0.750", "0.300 to 0.950", "4", "1", "ValueError: no"]
    assert set(page.cells("Labelling functions")) >= {"votes", "mine", "broken"}
    assert "silent" not in page.cells("Labelling functions")
    assert page.cells("Labelling functions")["broken"][-2:] == ["3", "KeyError: x"]
    assert "Found nothing to vote on: silent." in page.text
    assert "Bootstrap classifier: filled 3 that." in page.text


# -- figures ---------------------------------------------------------------------------------------------------------


def test_every_reason_is_explained() -> None:
    assert set(MEANING) == set(Reason)
    assert all(text.endswith(".") for text in MEANING.values())


def test_figures_are_what_the_catalog_holds(build: Builder) -> None:
    ids = stocked_set(build)
    facts = gather(build.ws)
    size = sum(len(png(seed)) for seed in range(1, 6))
    assert facts["candidates"] == {
        "candidates": 12, "stored": 5, "failed": 6, "pending": 1, "samples": 5, "bytes": size,
    }  # fmt: skip
    assert [(row["reason"], row["n"], row["retryable"], row["places"]) for row in facts["failures"]] == [
        ("http_404", 3, False, ["urls.txt:6", "urls.txt:7", "urls.txt:8"]),
        ("timeout", 2, True, ["urls.txt:9", "urls.txt:10"]),
        ("placeholder", 1, False, ["urls.txt:11"]),
    ]
    assert facts["sources"] == [
        {"source": "local:bb", "of": "drawings", "candidates": 3, "stored": 3, "failed": 0, "pending": 0},
        {"source": "urllist:aa", "of": "raw_data", "candidates": 10, "stored": 3, "failed": 6, "pending": 1},
    ]
    found = facts["duplicates"]
    assert {key: found[key] for key in ("groups", "grouped", "collapse_sets", "duplicates", "conflicts")} == {
        "groups": 1, "grouped": 2, "collapse_sets": 1, "duplicates": 1, "conflicts": 1,
    }  # fmt: skip
    assert found["splits"] == {"train": 1, "val": 1, "test": 1}
    assert found["excluded"] == {"merged_with_test": 1}
    labels = facts["labels"][0]
    assert (labels["survivors"], labels["unlabelled"]) == (3, 1)
    assert {row["class"]: (row["human"], row["weak"], row["declared"]) for row in labels["classes"]} == {
        "drawings": (1, 0, 2), "hentai": (0, 0, 0), "neutral": (0, 1, 1), "porn": (0, 0, 0), "sexy": (0, 0, 0),
    }  # fmt: skip
    assert set(labels["of"]) == {ids["first"], ids["drawing"]}
    assert facts["screening"]["held"] == 1


def test_the_page_says_the_same(build: Builder) -> None:
    stocked_set(build)
    page = Page(written(build, {"tables": [{"title": "Planted", "columns": ["What", "n"], "rows": [["a copy", 7]]}]}))
    assert page.cells("Failures by reason")["http_404"][:2] == ["3", "no"]
    assert page.cells("Failures by reason")["timeout"][:2] == ["2", "yes"]
    assert page.cells("Candidates by source")["urllist:aa"] == ["raw_data", "10", "3", "6", "1"]
    assert page.cells("Labels by class and by who gave them")["All"] == ["1", "1", "0", "2", "3"]
    assert page.cells("Labelling functions")["drawing"] == ["0.500", "0.250", "0.125", *["–"] * 4]
    assert page.cells("Groups, collapse sets, splits")["Duplicates"][0] == "1"
    assert page.cells("Planted") == {"a copy": ["7"]}
    assert "12 candidates = 5 stored + 6 failed + 1 pending" in page.text
    assert "Screening is off." in page.text


def test_releases_are_what_export_wrote(tmp_path: Path) -> None:
    items = [Item(f"n{n}", "train" if n % 3 else "test") for n in range(12)]
    ws = stocked(tmp_path, items)
    result = export(ws, "1.0.0", {}, QUIET, SCREENED)
    (found,) = figures.releases(ws)
    assert {split: sum(counts.values()) for split, counts in found["rows"].items()} == result["rows"]
    assert (found["excluded"], found["sha256"]) == (result["excluded"], result["sha256"])
    page = Page(report(ws, QUIET).read_text(encoding="utf-8"))
    assert page.cells("Release 1.0.0: rows by split and class")["train"] == ["8", "8"]
    ws.close()


def test_a_release_that_was_changed_is_not_quoted(build: Builder) -> None:
    path = build.release("1.0.0", {"train": {"neutral": 3}, "val": {}, "test": {"neutral": 1}}, {"duplicate": 2})
    assert figures.releases(build.ws)[0]["rows"] == {"train": {"neutral": 3}, "val": {}, "test": {"neutral": 1}}
    path.write_text(path.read_text(encoding="utf-8").replace("3", "9"), encoding="utf-8")
    assert figures.releases(build.ws)[0]["rows"] is None
    assert "not the one that was released" in written(build)
    path.unlink()
    assert figures.releases(build.ws)[0]["rows"] is None


def test_the_baselines_figures_and_matrix(build: Builder) -> None:
    truth = np.array([0] * 30 + [1] * 10)
    sure = np.where(truth == 1, 0.9, 0.1)
    sure[:3] = 0.8
    judged = Predictions(truth, np.column_stack([1 - sure, sure]), [str(n) for n in range(40)], ["drawings", "neutral"])
    test = evaluate(judged, ["drawings", "neutral"], []) | said_by(["human"] * 40)
    build.model("1.0.0", {"version": "1.0.0", "classes": ["drawings", "neutral"], "test": test})
    page = Page(written(build))
    figures_shown = page.cells("Test figures")
    assert figures_shown["Samples"] == ["40", "–", "–"]
    low, high = test["accuracy_interval"]
    assert figures_shown["Accuracy"] == ["0.925", f"{low:.3f} to {high:.3f}", "–"]
    assert figures_shown["ROC-AUC, macro"][0] == f"{test['roc_auc']:.3f}"
    assert page.cells("Confusion matrix, test split") == {
        "drawings": ["27", "3", "30", "0.900"],
        "neutral": ["0", "10", "10", "1.000"],
    }
    shades = [[cell["shade"] for cell in row["cells"]] for row in matrix({"test": test})["rows"]]
    assert shades == [[7, 1], [0, 8]]


@pytest.mark.parametrize(
    ("given", "heading"),
    [
        ({"weak": 40}, "agreement with the label model (labels: 0 human, 40 weak, 0 model; n = 40)"),
        ({"model": 40}, "agreement with a classifier (labels: 0 human, 0 weak, 40 model; n = 40)"),
        ({"human": 5, "weak": 35}, "agreement with people (5 labels) and the label model (labels: 5 human, 35 weak,"),
        ({"human": 40}, "accuracy (labels: 40 human, 0 weak, 0 model; n = 40)"),
    ],
)
def test_what_a_machine_labelled_is_never_called_accuracy(build: Builder, given: dict[str, int], heading: str) -> None:
    truth = np.arange(40) % 2
    judged = Predictions(truth, np.eye(2)[truth] * 0.8 + 0.1, [str(n) for n in range(40)], ["drawings", "neutral"])
    sources = [who for who, n in given.items() for _ in range(n)]
    theirs = {"human": {"n": given.get("human", 0), "accuracy": 1.0, "interval": [0.5, 1.0]}}
    test = evaluate(judged, ["drawings", "neutral"], []) | said_by(sources) | theirs
    build.model("1.0.0", {"version": "1.0.0", "classes": ["drawings", "neutral"], "test": test})
    page = Page(written(build))
    assert heading in page.text
    assert ("Accuracy" in page.cells("Test figures")) == (given == {"human": 40})
    assert ("True ↓ said →" in page.text) == (given == {"human": 40})
    assert not any("1.000 to 1.000" in cell for row in page.cells("Test figures").values() for cell in row)


def test_screening_says_what_the_last_fetch_passed(tmp_path: Path) -> None:
    config = Config(screening=ScreeningConfig(lists=(Plugin("lines"),)))
    builder = Builder(tmp_path, config)
    assert "Nothing has been fetched yet." in Page(written(builder)).text
    passed = [{"name": "mine.txt", "provider": "self", "entries": 1234}]
    builder.ws.catalog.set("screening", json.dumps({"lists": passed}))
    with builder.ws.catalog.tx() as db:
        db.execute("INSERT INTO incidents (at, kind, digest) VALUES ('2026-01-01', 'match', 'ab')")
    text = Page(written(builder)).text
    assert "Screening is on." in text
    assert "mine.txt of self (1,234 hashes)" in text
    assert "1 item matched a list." in text
    builder.ws.close()


def test_an_empty_workspace_has_a_page(build: Builder) -> None:
    page = Page(written(build))
    assert "No samples yet." in page.text
    assert "No release yet." in page.text
    assert (build.ws.root / "report.html").stat().st_mode & 0o777 == 0o600


def test_the_page_does_not_depend_on_anything_but_the_workspace(build: Builder) -> None:
    stocked_set(build)
    first, second = (re.sub(r"20\d\d-\d\d-\d\d[T ][0-9:.Z]*", "", written(build)) for _ in range(2))
    assert first == second


# -- the page is sealed ----------------------------------------------------------------------------------------------

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


def test_the_page_is_sealed(build: Builder) -> None:
    stocked_set(build)
    page = assert_sealed(written(build))
    assert len(page.of("img")) == 5  # three survivors, and the two of the one group


def test_hostile_words_stay_words(tmp_path: Path) -> None:
    axis = Axis(classes=("neutral", HOSTILE), safe=("neutral", HOSTILE), borderline=())
    builder = Builder(tmp_path / "<b>set<b>", Config(screening=OFF, taxonomy=Taxonomy(axes=(axis,))))
    source = builder.source(f"urllist:{HOSTILE}", path=f"/x/{HOSTILE}", label=HOSTILE)
    name = builder.store(source, png(1), HOSTILE, f"{HOSTILE}:12")
    other = builder.store(source, png(2), "neutral", "<i>urls.txt:3")
    builder.sql("UPDATE mentions SET album = ?", HOSTILE)
    builder.member(name, HOSTILE, name)
    builder.member(other, HOSTILE, name)
    builder.fail(source, f"made_up {HOSTILE}", HOSTILE, "<script>:9")
    builder.sql("INSERT INTO conflicts VALUES (?, ?, ?, ?, NULL)", HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    functions = [{"name": HOSTILE, "coverage": 1.0, "overlap": 0.0, "conflict": 0.0, "accuracy": None}]
    builder.label({name: (HOSTILE, 0.5)}, {"model": HOSTILE, "functions": functions})
    builder.release("<script>1.0.0", {s: {HOSTILE: 1} for s in ("train", "val", "test")}, {HOSTILE: 1})
    confusion = {"classes": [HOSTILE, "neutral"], "rows": [[1, 0], [0, 1]]}
    builder.model(HOSTILE, {"test": {"n": 2, "accuracy": 1.0, "confusion": confusion}})
    builder.ws.catalog.begin(HOSTILE, HOSTILE)
    builder.ws.catalog.end(HOSTILE)
    builder.ws.catalog.set("screening", json.dumps({"lists": [{"name": HOSTILE, "provider": HOSTILE, "entries": 1}]}))
    extra = {"title": HOSTILE, "columns": [HOSTILE], "rows": [[HOSTILE], ["data:image/png;base64,AA http://evil.test"]]}
    page = assert_sealed(written(builder, {"tables": [extra | {"note": HOSTILE}]}))
    assert len(page.of("img")) == 3
    assert '"><script>alert(1)</script><img src=[url] onerror=alert(2)>' in page.text
    assert "evil.test" not in page.text
    builder.ws.close()


def test_no_item_is_named_by_its_address(build: Builder) -> None:
    source = build.source("urllist:aa", path="/home/ann/private/raw_data")
    for n, ref in enumerate(
        ("http://media.test/a.jpg:80", "a.jpg?sig=1:2", "plain name.jpg", "deep/er/urls_neutral.txt:12")
    ):
        build.store(source, png(n), "neutral", ref)
        build.fail(source, "http_404", "neutral", ref)
    text = written(build)
    assert text.count("urls_neutral.txt:12") == 2
    for secret in ("media.test", "sig=1", "plain name", "deep/er", "/home/ann", str(build.ws.root.parent)):
        assert secret not in text


def test_the_page_can_be_read_by_everyone(build: Builder) -> None:
    stocked_set(build)
    build.release("1.0.0", {split: {"neutral": 3} for split in ("train", "val", "test")}, {})
    page = assert_sealed(written(build))
    assert page.of("html")[0]["lang"] == "en"
    assert all(attrs.get("alt") for attrs in page.of("img"))
    assert len(page.of("table")) == len(page.of("caption"))
    assert all(attrs.get("scope") in ("col", "row") for attrs in page.of("th"))
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    for attrs in page.of("a"):
        assert (attrs["href"] or "")[1:] in ids
    for attrs in page.of("section"):
        assert attrs.get("aria-labelledby") in ids or attrs.get("aria-label")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_their_ground(build: Builder, scheme: str) -> None:
    """WCAG 2.2 AA: 4.5 to 1."""
    style = Page(written(build)).style
    light, dark = style.split("@media (prefers-color-scheme: dark)")[:2]
    colour = dict(re.findall(r"--([\w-]+): #(\w{6})", light))
    if scheme == "dark":
        colour |= dict(re.findall(r"--([\w-]+): #(\w{6})", dark))
    pairs = [("ink", ground) for ground in ("paper", "panel", "warn-paper", *(f"s{n}" for n in range(1, 9)))]
    pairs += [("soft", "paper"), ("soft", "track"), ("accent", "paper"), ("warn", "warn-paper")]
    for front, ground in pairs:
        assert contrast(colour[front], colour[ground]) >= 4.5, f"{front} on {ground}"


def contrast(one: str, other: str) -> float:
    """The WCAG contrast of two sRGB colours in hex."""
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


# -- what may be seen ------------------------------------------------------------------------------------------------


def assert_obscured(text: str) -> None:
    """Every picture is grey, and small enough to hold nothing."""
    pictures = shown(text)
    assert pictures
    for picture in pictures:
        assert picture.mode == "L"
        assert max(picture.size) <= 8
    assert "Obscured." in text
    assert "image/jpeg" not in text


def assert_clear(text: str) -> None:
    pictures = shown(text)
    assert pictures
    assert all(picture.mode == "RGB" and max(picture.size) > 8 for picture in pictures)
    assert "Obscured." not in text


def test_what_is_called_safe_is_seen(build: Builder) -> None:
    stocked_set(build)
    assert contact_sheet.dangers(build.ws) == []
    assert_clear(written(build))


def test_one_class_that_is_not_safe_obscures_everything(build: Builder) -> None:
    ids = stocked_set(build)
    build.mention(2, "urllist:aa", "sexy", "other.txt:1")
    assert contact_sheet.dangers(build.ws) == ["content: 'sexy' is not a class that the taxonomy calls safe"]
    text = written(build)
    assert_obscured(text)
    assert len(shown(text)) == 5
    original = np.asarray(Image.open(io.BytesIO(png(1))).convert("L"), dtype=float)
    blocks = original.reshape(8, 8, 8, 8).mean(axis=(1, 3))
    assert any(np.abs(np.asarray(one, dtype=float) - blocks).max() <= 1 for one in shown(text)), ids


def test_a_failed_candidate_of_another_class_obscures_everything(build: Builder) -> None:
    stocked_set(build)
    build.fail("urllist:aa", "http_404", "porn")
    assert_obscured(written(build))


def test_a_mention_without_a_class_obscures_everything(build: Builder) -> None:
    stocked_set(build)
    build.fail("urllist:aa", "http_404", None)
    assert_obscured(written(build))


def test_a_sample_that_nobody_names_obscures_everything(build: Builder) -> None:
    stocked_set(build)
    build.sql("UPDATE candidates SET sample = NULL, state = 'pending' WHERE candidate = 2")
    assert_obscured(written(build))


def test_a_weak_label_that_is_not_safe_obscures_everything(build: Builder) -> None:
    ids = stocked_set(build)
    build.label({ids["drawing"]: ("hentai", 0.6)}, {"functions": []})  # though a person says drawings
    assert_obscured(written(build))


def test_a_person_who_says_not_safe_obscures_everything_until_it_is_taken_back(build: Builder) -> None:
    ids = stocked_set(build)
    decision = build.decide(ids["first"], "unsure")
    assert_obscured(written(build))
    build.decide(ids["first"], "unsure", undoes=decision)
    assert_clear(written(build))


def test_every_axis_counts(tmp_path: Path) -> None:
    medium = Axis("medium", ("photograph", "drawing"), ("photograph", "drawing"), ())
    builder = Builder(tmp_path, Config(screening=OFF, taxonomy=Taxonomy(axes=(Axis(), medium))))
    source = builder.source("urllist:aa")
    builder.store(source, png(1))
    assert_obscured(written(builder))
    builder.sql("INSERT INTO declared SELECT candidate, source, ref, 'medium', 'photograph' FROM mentions")
    assert_clear(written(builder))
    builder.sql("INSERT INTO declared SELECT candidate, source, ref, 'mood', 'calm' FROM mentions")
    assert_obscured(written(builder))
    builder.ws.close()


@settings(max_examples=12)
@given(
    st.lists(
        st.sampled_from(["neutral", "drawings", "neutral", "drawings", "sexy", "porn", None]), min_size=1, max_size=4
    )
)
def test_clear_means_that_all_is_safe(labels: list[str | None]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        builder = Builder(Path(folder), Config(screening=OFF))
        source = builder.source("urllist:aa")
        for seed, label in enumerate(labels):
            builder.store(source, png(seed, 16), label)
        text = written(builder)
        builder.ws.close()
    (assert_clear if set(labels) <= {"neutral", "drawings"} else assert_obscured)(text)


def test_what_is_held_is_nowhere(build: Builder) -> None:
    ids = stocked_set(build)
    text = written(build)
    assert ids["held"][:10] not in text
    assert thumbnail_of(png(5)) not in text
    assert thumbnail_of(png(1)) in text
    build.sql("UPDATE mentions SET album = 'gallery' WHERE candidate = 1")
    build.sql("INSERT INTO quarantine VALUES ('album', 'gallery', NULL, 'reported', ?)", now())
    assert thumbnail_of(png(1)) not in written(build)


@pytest.mark.parametrize("label", ["neutral", "porn", None])
def test_what_may_show_minors_is_never_beside_what_is_not_safe(build: Builder, label: str | None) -> None:
    """Not even obscured: while anything here is not known to be safe, it is not in the sheet, nor in a group."""
    source = build.source("urllist:aa")
    marked, other = build.store(source, png(1, 16), "neutral"), build.store(source, png(2, 16), label)
    for name in (marked, other):
        build.member(name, "g", name)
    build.sql("UPDATE candidates SET may_depict_minors = 1 WHERE sample = ?", marked)
    text = written(build)
    assert (marked[:10] in text) == (label == "neutral")
    assert (other[:10] in text) == (label == "neutral"), "its near-duplicates are kept apart with it"
    build.sql("DELETE FROM members")
    build.member(marked, marked, marked)
    build.member(other, other, other)
    text = written(build)
    assert (marked[:10] in text) == (label == "neutral")
    assert other[:10] in text


def thumbnail_of(data: bytes) -> str:
    return base64.b64encode(thumbnail.clear(Image.open(io.BytesIO(data)))).decode()


def test_a_thumbnail_is_no_ones_bytes(build: Builder) -> None:
    data = jpeg_with_secrets()
    build.store(build.source("urllist:aa"), data)
    text = written(build)
    (picture,) = shown(text)
    (encoded,) = PICTURE.findall(text)
    assert max(picture.size) <= thumbnail.SIDE
    assert b"SECRET" not in base64.b64decode(encoded)
    assert not picture.getexif()
    assert "comment" not in picture.info
    assert b"SECRET" in data


@given(st.integers(1, 900), st.integers(1, 900), st.sampled_from(["RGB", "L", "RGBA"]))
@settings(max_examples=40)
def test_thumbnails_of_any_shape(width: int, height: int, mode: str) -> None:
    image = Image.new(mode, (width, height), 90)
    clear = Image.open(io.BytesIO(thumbnail.clear(image.convert("RGB"))))
    small = Image.open(io.BytesIO(thumbnail.obscured(image)))
    assert max(clear.size) <= thumbnail.SIDE
    assert max(small.size) <= thumbnail.CELLS
    assert (clear.mode, small.mode) == ("RGB", "L")


def test_bytes_that_are_gone_leave_a_gap(build: Builder) -> None:
    ids = stocked_set(build)
    build.ws.blobs.delete(ids["drawing"])
    build.ws.blobs.path(ids["first"]).write_bytes(b"no image at all")
    page = assert_sealed(written(build))
    assert page.text.count("unreadable") == 3  # one of them in the sheet and in its group
    assert len(page.of("img")) == 2


# -- which are shown -------------------------------------------------------------------------------------------------


def test_a_sheet_shows_many_groups_before_it_repeats_one(build: Builder) -> None:
    source = build.source("urllist:aa")
    ids = sorted(build.store(source, png(n, 16)) for n in range(60))
    for name in ids[:50]:
        build.member(name, "one large group", name)
    for name in ids[50:]:
        build.member(name, name, name)
    chosen = contact_sheet.choose(build.ws, build.ws.config.taxonomy.first, {})
    assert list(chosen) == ["unlabelled"]
    assert chosen["unlabelled"] == [ids[0], *ids[50:], *ids[1 : contact_sheet.PER_CLASS - 10]]


def test_groups_are_shown_as_what_they_are(build: Builder) -> None:
    source = build.source("urllist:aa")
    ids = sorted(build.store(source, png(n, 16)) for n in range(14))
    for name in ids[:10]:
        build.member(name, "g10", ids[3])
    for name in ids[10:12]:
        build.member(name, "g2", name)
    for name in ids[12:]:
        build.member(name, name, name)
    first, second = contact_sheet.largest(build.ws)
    assert (first["group"], first["size"], len(first["members"])) == ("g10", 10, contact_sheet.MEMBERS)
    assert first["members"][0] == (False, ids[3])
    assert (second["group"], second["members"]) == ("g2", [(False, ids[10]), (False, ids[11])])
    page = Page(written(build))
    assert page.text.count("collapsed") == 7 + 2  # and in the two lines that explain it
