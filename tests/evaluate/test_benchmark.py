"""A benchmark without a picture: who fetches it anew gets its figures, and every difference is told by item."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import curate
from curate.evaluate import benchmark
from curate.project import Project
from curate.screening.quarantine import quarantine
from tests.support.handed_on import maker, project
from tests.support.pictures import encode, texture
from tests.support.web import Answer, Web, serving

CHANNELS = Path(__file__).parents[1] / "support" / "onnx" / "channels.onnx"
MODEL = f"""
use = "onnx"
path = "{CHANNELS}"
sha256 = "{hashlib.sha256(CHANNELS.read_bytes()).hexdigest()}"
size = 8
outputs = ["red", "green", "blue"]
[classes]
red = ["neutral"]
green = ["drawings"]
blue = ["porn"]
"""
N = 60


def picture(seed: int) -> Answer:
    return 200, {"Content-Type": "image/png"}, encode(texture(seed, (64, 64)), "PNG")


def plain(found: Any) -> Any:
    """As JSON has it, which knows no tuples."""
    return json.loads(json.dumps(found))


@dataclass
class Ours:
    """The site, the workspace that published, and what was published."""

    site: Web
    project: Project
    root: Path
    model: str
    said: Any

    @property
    def folder(self) -> Path:
        return self.root / "work" / "exports" / "1.0.0" / "benchmark"

    def rows(self) -> list[str]:
        """The paths on the site of the rows that are counted, in order."""
        release = curate.load_release(self.root / "work" / "releases" / "1.0.0").frame("test")
        return ["/" + url.rpartition("/")[2] for url in release["url"]]


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ours]:
    with serving({f"/{n}.png": picture(n) for n in range(N)}) as site:
        root = tmp_path_factory.mktemp("ours")
        made = maker(root, site, N)
        (model := root / "model.toml").write_text(MODEL)
        made.fetch(), made.dedupe(), made.label(), made.export("1.0.0")
        yield Ours(site, made, root, str(model), made.evaluate(model, "1.0.0", publish=True))


@pytest.fixture
def site(ours: Ours) -> Iterator[Web]:
    """As it was, afterwards."""
    before = dict(ours.site.answers)
    yield ours.site
    ours.site.answers.clear()
    ours.site.answers.update(before)


def test_a_stranger_gets_the_figures_that_were_published(ours: Ours, tmp_path: Path) -> None:
    partner = project(tmp_path / "partner", ours.site)
    assert partner.hydrate(ours.folder)["recovered"] == N
    found = partner.evaluate(ours.model, ours.folder)
    assert found["published"]["all"] == plain(found["published"]["here"]) == plain(ours.said["figures_of"])
    assert found["figures_of"] == ours.said["figures_of"]
    assert (found["items"], found["missing"], found["of"]) == ([], 0, ours.said["of"])
    assert "none" in list(benchmark.lines(found))[-1]
    assert found["side_by_side"]["rows"][1]["difference"]["right"] == 0


def test_every_difference_is_told_by_item(ours: Ours, site: Web, tmp_path: Path) -> None:
    """Of the rows that are measured one is gone, one overwritten, one withheld by a list, one held back here."""
    gone, changed, listed, held, *_ = ours.rows()
    digest = hashlib.md5(site.answers[listed][2]).hexdigest()
    kept = hashlib.sha256(site.answers[held][2]).hexdigest()
    site.answers[gone] = (404, {}, b"gone")
    site.answers[changed] = picture(999)
    (tmp_path / "list.txt").write_text(digest + "\n")
    screening = f'[[screening.lists]]\nuse = "lines"\npath = "{tmp_path}/list.txt"\nprovider = "self"\n'
    partner = project(tmp_path / "partner", site, screening=screening)
    with pytest.raises(curate.MatchError):
        partner.hydrate(ours.folder)
    with partner.session.drive("quarantine") as ws:
        quarantine(ws.catalog, kept, "why", actor="me")
    found = partner.evaluate(ours.model, ours.folder)
    told = {(one["why"], one["reason"]) for one in found["items"]}
    assert told == {
        ("gone", "http_404"), ("overwritten", "hash_mismatch"), ("withheld", "gate_match"), ("withheld", "held"),
    }  # fmt: skip
    assert (found["missing"], found["figures_of"]["n"]) == (4, ours.said["of"] - 4)
    assert found["published"]["here"] == found["figures_of"], "on the same rows nothing differs"
    assert found["published"]["all"]["n"] == ours.said["of"]


def test_another_score_is_an_item(ours: Ours, tmp_path: Path) -> None:
    partner = project(tmp_path / "partner", ours.site)
    partner.hydrate(ours.folder)
    lines = (ours.folder / "scores.csv").read_text().splitlines()
    one = lines[1].split(",")
    lines[1] = ",".join([one[0], *(["0.2"] * 5)])
    lines.pop()
    (tmp_path / "mine.csv").write_text("\n".join([*lines, ""]))
    found = partner.evaluate(tmp_path / "mine.csv", ours.folder)
    assert {(item["why"], item["reason"]) for item in found["items"]} == {("score", None), ("score", "no_score")}
    assert found["missing"] == 1
    assert any(one[0][:12] in line for line in benchmark.lines(found))


def test_what_was_published_is_what_it_was_or_refused(ours: Ours, tmp_path: Path) -> None:
    partner = project(tmp_path / "partner", ours.site)
    shutil.copytree(ours.folder, folder := tmp_path / "b")
    with pytest.raises(curate.UsageError, match="`curate hydrate` comes first"):
        partner.evaluate(ours.model, folder)
    said = json.loads((folder / "benchmark.json").read_text())
    for name, text, says in (
        ("scores.csv", "sha256,not_safe\n", "not what was published"),
        ("benchmark.json", "[]", "no benchmark"),
        ("benchmark.json", json.dumps({**said, "schema": 9}), "newer curate"),
        ("benchmark.json", json.dumps({**said, "seed": -1}), "no benchmark"),
        ("benchmark.json", json.dumps({**said, "split": "all"}), "no benchmark"),
        ("benchmark.json", "[" * 5000, "no benchmark"),
    ):
        (folder / name).write_text(text)
        with pytest.raises(curate.StoreError, match=says):
            partner.evaluate(ours.model, folder)


def test_published_figures_may_be_anything(ours: Ours, tmp_path: Path) -> None:
    """Nobody can check them but by the scores."""
    partner = project(tmp_path / "partner", ours.site)
    shutil.copytree(ours.folder, folder := tmp_path / "b")
    partner.hydrate(ours.folder)
    said = json.loads((folder / "benchmark.json").read_text())
    (folder / "benchmark.json").write_text(json.dumps({**said, "figures": {"n": "many", "agreement": []}}))
    found = partner.evaluate(ours.model, folder)
    assert any("nan" in line for line in benchmark.lines(found))


def test_a_folder_of_urls_has_no_published_figures(ours: Ours, tmp_path: Path) -> None:
    partner = project(tmp_path / "partner", ours.site)
    partner.hydrate(ours.folder, limit=N - 5)
    found = partner.evaluate(ours.model, ours.root / "work/exports/1.0.0/urls")
    assert found["published"] is None
    assert {one["why"] for one in found["items"]} == {"unreached"}
    assert list(benchmark.lines(found))


def test_a_takedown_takes_the_benchmark_along(ours: Ours, tmp_path: Path) -> None:
    """Its figures were those of other rows."""
    shutil.copytree(ours.root, tmp_path / "w")
    mine = curate.open(tmp_path / "w", quiet=True)
    folder = tmp_path / "w/work/exports/1.0.0/benchmark"
    one = mine.release("1.0.0").frame("test")["id"][0]
    mine.takedown(one, "asked")
    assert not folder.exists()
    assert mine.verify()["items"] == []
    mine.evaluate(ours.model, "1.0.0", publish=True)
    assert one not in (folder / "scores.csv").read_text()
    assert mine.verify()["items"] == []
