"""What the README and CONTRIBUTING say is true: commands, options, exit codes, examples."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import typer

from cli import app
from curate.commands.app import CODES
from curate.config import load
from curate.fetch.reasons import MEANING
from curate.label.functions import meanings, own
from curate.plugins import make, names, plugin_class
from curate.policy import minors
from curate.records import Axis, Reason
from curate.testing import check_source

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    """Every command, sub-commands with their group's name in front."""
    found = [one.name or one.callback.__name__ for one in app.registered_commands if one.callback]
    for group in app.registered_groups:
        assert isinstance(group.typer_instance, typer.Typer)
        found += [f"{group.name} {one.name}" for one in group.typer_instance.registered_commands]
    return found


def example(text: str, name: str) -> str:
    match = re.search(rf"<!-- example: {name} -->\n```\w+\n(.*?)```", text, re.DOTALL)
    assert match, f"no example {name}"
    return match[1]


def module(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    path = tmp_path / f"{name}.py"
    path.write_text(example(CONTRIBUTING, {"table": "source", "brightness": "labeler", "jsonl": "format"}[name]))
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, made)
    spec.loader.exec_module(made)
    return made


@pytest.mark.parametrize("command", commands())
def test_every_command_is_in_the_readme(command: str) -> None:
    assert f"`curate {command}" in README


def test_the_exit_codes_are_those_of_the_help() -> None:
    for code, means in CODES.items():
        assert f"| {code} | {means} |" in README
    shown = subprocess.run([sys.executable, "-m", "cli", "--help"], capture_output=True, text=True, check=True).stdout
    for means in CODES.values():
        assert means in " ".join(shown.split())


def test_the_two_commands_are_on_the_first_screen() -> None:
    first = README.splitlines()[:20]
    assert any("make demo" in line for line in first)
    assert any("make test" in line for line in first)


def test_the_config_example_is_read(tmp_path: Path) -> None:
    (tmp_path / "curate.toml").write_text(example(README, "config"))
    assert [one.use for one in load(tmp_path).sources] == ["urllist", "local"]


def test_the_commons_example_is_read(tmp_path: Path) -> None:
    (tmp_path / "curate.toml").write_text(example(README, "commons"))
    (table,) = load(tmp_path).sources
    assert make("sources", table, "source").classes() == {"neutral"}


def test_the_functions_example_votes(tmp_path: Path) -> None:
    code = example(README, "functions") + (
        "\nfrom types import SimpleNamespace as N\n"
        "print(tiny_pngs_are_sprites(N(media_type='image/png', width=9, height=9)),"
        " tiny_pngs_are_sprites(N(media_type='image/png', width=900, height=9)))"
    )
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["0", "-1"]


def test_the_example_of_a_vote_for_several_classes_is_one(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(example((ROOT / "docs" / "labels.md").read_text(encoding="utf-8"), "sets"))
    (function,) = own([path], [Axis()])["content"]
    assert [function(SimpleNamespace(width=w, height=2000)) for w in (1100, 3000)] == [0, -1]
    assert [set(one) for one in meanings(function, Axis())] == [{"neutral", "porn", "sexy"}]


async def test_the_source_example_finds_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = ["http://a.example/1.jpg,neutral,,a cat", *(f"{n}.jpg,,CC0,dog {n}" for n in range(700))]
    (tmp_path / "t.csv").write_text("\n".join(["url,label,license,title", *rows, ""]))
    source = plugin_class(module(tmp_path, "table", monkeypatch))(tmp_path / "t.csv")
    pages = [page async for page in source.pages(None, None)]
    found = [c for page in pages for c in page.candidates]
    assert [len(page.candidates) for page in pages] == [500, 201]
    assert [page.cursor for page in pages] == ["500", None]
    assert [page async for page in source.pages(None, "500")] == pages[1:]
    assert [(c.ref, c.label, c.license, c.facts["title"]) for c in found[:2]] == [
        ("t.csv:2", "neutral", None, "a cat"), ("t.csv:3", None, "CC0", "dog 0"),
    ]  # fmt: skip
    assert found[1].locator.value == str(tmp_path / "0.jpg")
    assert source.classes() == {"neutral", None}
    check_source(source)


def test_the_labeler_example_scores_and_votes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    class White:
        def image(self, side: int) -> Image.Image:
            return Image.new("RGB", (side, side), "white")

    made = module(tmp_path, "brightness", monkeypatch)
    labeler = plugin_class(made)()
    labeler.load()
    assert labeler.label([White()])["mean"].tolist() == [1.0]
    assert [one.name for one in made.functions(Axis(), frozenset(labeler.columns))] == ["bright"]


def test_the_format_example_writes_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow as pa

    from curate.records import Manifest

    form = plugin_class(module(tmp_path, "jsonl", monkeypatch))()
    release = Manifest("1.0.0", tmp_path, {}, {"train": pa.table({"id": ["a"], "label": ["neutral"]})})
    form.write(release, tmp_path)
    assert (tmp_path / "train.jsonl").read_text() == '{"id": "a", "label": "neutral"}\n'


SOURCES = (ROOT / "docs" / "sources.md").read_text(encoding="utf-8")


def test_every_failure_reason_is_explained_as_it_is() -> None:
    table = re.findall(r"^\| `(\w+)` \| (yes|no) \| (.+) \|$", SOURCES, re.MULTILINE)
    assert table == [(str(one), "yes" if one.retryable else "no", MEANING[one]) for one in Reason]


def test_every_source_has_a_section_and_its_example_is_read(tmp_path: Path) -> None:
    (tmp_path / "images" / "neutral").mkdir(parents=True)
    for name in names("sources"):
        section = SOURCES.partition(f"## `{name}`\n")[2].partition("\n## ")[0]
        (text,) = re.findall(r"```toml\n(.*?)```", section, re.DOTALL)
        (tmp_path / "curate.toml").write_text(text)
        (table,) = load(tmp_path).sources
        assert table.use == name
        make("sources", table, "source")
        assert f'use = "{name}"' in README, "and in the README"


def test_the_polite_example_is_read(tmp_path: Path) -> None:
    text = re.findall(r"```toml\n(.*?)```", SOURCES.partition("## How to ask politely")[2], re.DOTALL)[0]
    (tmp_path / "curate.toml").write_text(text)
    assert load(tmp_path).run.max_items == 50_000
    assert load(tmp_path).fetch.tokens == {"commons.wikimedia.org": "COMMONS_TOKEN"}


def test_the_documents_count_the_languages() -> None:
    assert f"in {len(minors.languages())} languages" in SOURCES


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def anchors(page: Path) -> set[str]:
    """The names under which headings of a page can be linked to, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_within_the_documents_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for place, _, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(#([^)\s]+))?\)", text):
        to = page.parent / place if place else page
        assert to.exists(), place
        assert not anchor or anchor in anchors(to), f"{place}#{anchor}"
