"""From an upload window to three figures: harmless pictures behind a small wiki on loopback, and every command between.

Photographs stand in for what is to be found: one upload in ten is one. The reviewer is a script that knows where a
picture lies. `python -m benchmarks.baseline --only journey` prints what each command said.
"""

import hashlib
import io
import json
import mimetypes
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from PIL import Image

import curate
from benchmarks.benign_corpus import looked_at
from curate.project import Project
from curate.review.journal import Journal

WINDOW, RARE, AUDIT = 3000, 0.1, 800  # uploads, share of photographs, decisions
BATCH = 50  # files an answer
CLASSES = ("photograph", "drawn")
CONFIG = """\
[[taxonomy.axes]]
classes = ["photograph", "drawn"]
safe = ["drawn"]                       # so that photographs, all of them harmless, are what is looked for

[fetch]
contact = "bench@example.org"
allow_private = ["{host}"]

[screening]
[[screening.lists]]
use = "lines"
path = "list.txt"                      # made up: without a list nothing is taken that may be not safe

[[sources]]
use = "commons"
api = "http://{host}/w/api.php"
[[sources.uploads]]
mode = "window"
start = "2026-01-01"
end = "2026-02-01"

[[labelers]]
use = "drawing"
[[labelers]]
use = "quality"
[[labelers]]
use = "efficientnet_lite0"

[label]
functions = ["functions.py"]

[review]
max_minutes = 600

[export]
splits = {{ train = 0.5, val = 0.2, test = 0.3 }}
on_suspect = "drop"                    # what still looks alike across splits leaves train

[train]
guarantee = {{ recall = 0.9, confidence = 0.95 }}
"""
FUNCTIONS = """\
from snorkel.labeling import labeling_function

PHOTOGRAPH, DRAWN, ABSTAIN = 0, 1, -1


def between(value):
    return PHOTOGRAPH if value <= 0.1 else DRAWN if value >= 0.9 else ABSTAIN


@labeling_function()
def ground(x):
    return between(x.drawing_ground)


@labeling_function()
def smooth(x):
    return between(x.drawing_smooth)


@labeling_function()
def colours(x):
    return between(x.drawing_colours)
"""


class Wiki(BaseHTTPRequestHandler):
    """A wiki's upload stream and its files: what `commons` asks for, and no more."""

    files: tuple[bytes, ...] = ()
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """An answer of the API, or a file by its number."""
        asked = urlsplit(self.path)
        if asked.path == "/w/api.php":
            query = {name: values[0] for name, values in parse_qs(asked.query).items()}
            self._send(200, "application/json", json.dumps(self._answer(query)).encode())
        elif asked.path.startswith("/files/"):
            data = self.files[int(Path(asked.path).stem)]
            self._send(200, mimetypes.guess_type(asked.path)[0] or "", data)
        else:
            self._send(404, "text/plain", b"")

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _answer(self, query: Mapping[str, str]) -> dict[str, Any]:
        if query.get("meta") == "siteinfo":
            return {"batchcomplete": True, "query": {"extensions": []}}
        start = int(query.get("gaicontinue", 0))
        stop = min(start + BATCH, len(self.files))
        found: dict[str, Any] = {"batchcomplete": True, "query": {"pages": [self._page(n) for n in range(start, stop)]}}
        return found | ({"continue": {"gaicontinue": str(stop), "continue": ""}} if stop < len(self.files) else {})

    def _page(self, number: int) -> dict[str, Any]:
        data, host = self.files[number], self.headers["Host"]
        kind, size = kind_of(data)
        url = f"http://{host}/files/{number}.{kind}"
        time = np.datetime64("2026-01-01T00:00:00") + np.timedelta64(number, "m")
        info = {
            "url": url, "descriptionurl": url, "size": len(data), "width": size[0], "height": size[1],
            "mime": mimetypes.guess_type(url)[0], "sha1": hashlib.sha1(data, usedforsecurity=False).hexdigest(),
            "timestamp": f"{time}Z", "user": "Somebody", "extmetadata": {"LicenseShortName": {"value": "CC0"}},
        }  # fmt: skip
        return {"pageid": number + 1, "ns": 6, "title": f"File:{number}.{kind}", "imageinfo": [info]}

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def kind_of(data: bytes) -> tuple[str, tuple[int, int]]:
    """The suffix and the size of a picture."""
    with Image.open(io.BytesIO(data)) as image:
        return str(image.format).lower().replace("jpeg", "jpg"), image.size


@contextmanager
def serving(files: tuple[bytes, ...]) -> Iterator[str]:
    """The host and port of a wiki with these uploads, oldest first."""

    class Here(Wiki):
        """This wiki."""

    Here.files = files
    server = ThreadingHTTPServer(("127.0.0.1", 0), Here)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def uploads(every: int) -> list[tuple[str, bytes]]:
    """(class, bytes) of the window's uploads, in the order in which they came."""
    rng, sides = np.random.default_rng(0), {name: list[bytes]() for name in CLASSES}
    for label, _, _, data, _ in looked_at(every):
        sides[CLASSES[label != "photographs"]].append(data)
    n = min(WINDOW, round(len(sides["photograph"]) / RARE), round(len(sides["drawn"]) / (1 - RARE)))
    rare = round(RARE * n)
    some = [
        (name, sides[name][place])
        for name, wanted in (("photograph", rare), ("drawn", n - rare))
        for place in rng.permutation(len(sides[name]))[:wanted]
    ]
    return [some[place] for place in rng.permutation(n)]


def told(every: int = 1) -> Iterator[str]:
    """The journey, as the page has it."""
    came = uploads(every)
    with tempfile.TemporaryDirectory() as folder, serving(tuple(data for _, data in came)) as host:
        root = Path(folder)
        for name, text in (("curate.toml", CONFIG.format(host=host)), ("functions.py", FUNCTIONS),
                           ("list.txt", f"{1:064x}\n")):  # fmt: skip
            (root / name).write_text(text)
        yield from _walked(curate.open(root, quiet=True), [label for label, _ in came], round(AUDIT / every))


def _walked(project: Project, labels: list[str], decisions: int) -> Iterator[str]:
    fetched, grouped, labelled = project.fetch(), project.dedupe(), project.label()
    queue = project.queue("audit", size=decisions)["queue"]
    truth = _judged(project, queue, labels)
    audit = {(one["class"], one["what"]): one for one in project.estimate()["figures"]}
    project.label()
    released, trained = project.export("1.0.0").facts, project.train("1.0.0")
    natural, decided, worst = trained["natural"], trained["thresholds"], trained["worst"]
    if natural.get("why_not"):
        yield f"`curate train` has no figure at natural prevalence: {natural['why_not']}"
        return
    recall = audit.get(("photograph", "recall")) or audit["not_safe", "recall"]
    steps = [
        ("curate fetch", f"{fetched['stored']:,} of {len(labels):,} uploads stored"),
        ("curate dedupe", f"{grouped['groups']:,} groups, {grouped['duplicates']:,} duplicates collapsed"),
        ("curate label", f"{labelled['labelled']:,} labelled, {labelled['abstained']:,} abstained"),
        (f"curate queue audit --size {decisions}", f"{decisions} drawn by strata; judged by the script"),
        ("curate estimate", f"recall of the *labels* {_span(recall['value'], (recall['low'], recall['high']))}"),
        ("curate label", "again, with what people said"),
        ("curate export 1.0.0", ", ".join(f"{n:,} {split}" for split, n in released["rows"].items())
         + "; left out: " + ", ".join(f"{n:,} {why}" for why, n in released["excluded"].items())),
        ("curate train 1.0.0", f"the figures below; thresholds {decided['status']}"
         + (f", {decided['missing']} human labels of val's groups lack" if decided["missing"] else "")),
    ]  # fmt: skip
    yield "| command | what it said |"
    yield "|---|---|"
    yield from (f"| `{command}` | {said} |" for command, said in steps)
    yield ""
    rate, between = natural["not_safe_false_positive_rate"], natural["not_safe_false_positive_rate_interval"]
    of = 1000 * (1 - natural["prevalence"])
    yield (
        f"**From an upload window: recall {_span(natural['not_safe_recall'], natural['not_safe_recall_interval'])},"
        f" {of * rate:.1f} [{of * between[0]:.1f}, {of * between[1]:.1f}] false alarms per 1,000 uploads, worst slice"
        f" {worst['kind']}, {worst['name']}: {_span(worst['right'], worst['right_interval'])} {worst['heading']}"
        f" (n = {worst['n']}).**"
    )
    yield ""
    yield (
        f"Recall and false alarms: at 0.5, on {natural['n']} decisions of the audit that are of test"
        f" ({natural['not_safe_n']} photographs), reweighted to the window, of which {natural['prevalence']:.1%} are"
        f" photographs ({natural['unseen']:.2%} of it is in strata of which test has no judged upload)."
    )
    yield from _all_of_test(project, truth)
    found = ", ".join(f"{one['cue']} (AUC {one['auc']})" for one in trained["shortcuts"] if one["found"])
    yield f"Shortcuts that `curate train` names: {found or 'none'}."


def _judged(project: Project, queue: str, labels: list[str]) -> dict[str, str]:
    """Decide all of a queue by where pictures lie; gives the class of every sample."""
    with project.session.open() as ws:
        rows = ws.catalog.all("SELECT locator, sample FROM candidates WHERE sample IS NOT NULL")
        truth = {row["sample"]: labels[int(Path(row["locator"]).stem)] for row in rows}
        journal = Journal(ws.catalog, ws.config, queue, "script")
        for item in journal.items():
            journal.decide(item.sample, truth[item.sample], 2.0)
        journal.end()
    return truth


def _all_of_test(project: Project, truth: Mapping[str, str]) -> Iterator[str]:
    """The same two shares of every upload of test, which only somebody who knows all answers can have."""
    with project.session.open() as ws:
        ids = [
            row["sample"]
            for row in ws.catalog.all("SELECT sample FROM members WHERE split = 'test' AND survivor = sample")
        ]
        paths = {str(ws.blobs.path(one)): one for one in ids}
    said = project.predict("1.0.0", list(paths))["rows"]
    flagged = {paths[row["path"]]: row["probabilities"]["photograph"] >= 0.5 for row in said if "probabilities" in row}
    of = {name: [flagged[one] for one in flagged if truth[one] == name] for name in CLASSES}
    found, passed = of["photograph"], of["drawn"]
    yield (
        f"`curate predict 1.0.0` on all {len(flagged)} uploads of test, held against where they lie: recall"
        f" {np.mean(found):.3f} of {len(found)}, false alarms {np.mean(passed):.2%} of {len(passed)}."
    )


def _span(value: float, between: tuple[float, float]) -> str:
    return f"{value:.3f} [{between[0]:.3f}, {between[1]:.3f}]"
