"""Every recipe is a curate.toml that loads; those for Commons go the whole way against a wiki of that shape."""

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from curate.config import load
from curate.plugins import make
from tests.support.calling_here import command
from tests.support.mediawiki import Wiki

RECIPES = sorted((Path(__file__).resolve().parent.parent / "recipes").glob("*.toml"))
COMMONS = "https://commons.wikimedia.org/w/api.php"
LABELS = {
    "commons": {"Hills.png": "neutral", "Ring.png": "neutral", "Leaf.png": "drawings"},
    "commons-logos": {"Emblem.svg": "logo", "Hills.png": "other"},
}


def recipe(path: Path, root: Path, changes: dict[str, str]) -> Path:
    """A workspace with the recipe in it, changed as it says; each change must find its place."""
    text = path.read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text, f"{path.name}: nothing to change: {old}"
        text = text.replace(old, new)
    (root / "curate.toml").write_text(text, encoding="utf-8")
    return root


def test_there_are_recipes() -> None:
    assert {path.stem for path in RECIPES} >= set(LABELS)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_loads_with_all_its_plugins(path: Path, tmp_path: Path) -> None:
    config = load(recipe(path, tmp_path, {}))
    for source in config.sources:
        assert make("sources", source, "source").classes() <= {*config.taxonomy.first.classes, None}
    for labeler in config.labelers:
        make("labelers", labeler, "labeler")
    assert config.fetch.contact == "you@example.org"


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_no_recipe_asks_for_anything_explicit(path: Path, tmp_path: Path) -> None:
    """What is not safe comes from an operator's own list, with a reason and a name; drawn or not, it has no preset."""
    config = load(recipe(path, tmp_path, {}))
    safe = {*config.taxonomy.first.safe, None}
    assert all(make("sources", source, "source").classes() <= safe for source in config.sources)
    assert set(config.taxonomy.first.safe) <= {"drawings", "neutral", "logo", "other"}


@pytest.mark.parametrize("name", sorted(LABELS))
def test_a_commons_recipe_runs(name: str, tmp_path: Path, world: Wiki) -> None:
    (tmp_path / "list.txt").write_text("0" * 64 + "\n")
    (path,) = [path for path in RECIPES if path.stem == name]
    private = f'[fetch]\nallow_private = ["{world.host}"]'
    changes = {COMMONS: world.api, "lists/CHANGE-ME.txt": "list.txt", "[fetch]": private}
    recipe(path, tmp_path, changes | {"min_human_test = 0.5": "min_human_test = 0"})
    code, out, err = command(tmp_path, "run", "1.0.0", "--json")
    assert code == 0, err
    whole: dict[str, Any] = json.loads(out)
    assert sum(whole["export"]["rows"].values()) >= len(LABELS[name]), "a release of what has a label"
    result = whole["fetch"]
    assert result["stored"] == result["candidates"] >= 10
    bare = "SELECT DISTINCT ref FROM mentions WHERE license IS NULL"
    assert {ref.rpartition("File:")[2] for (ref,) in query(tmp_path, bare)} == {"B1.png"}, "it has an artist only"
    assert result["unlisted"] == {}
    assert declared(tmp_path) == LABELS[name]
    unlabelled = "SELECT count(*) FROM mentions WHERE ref LIKE 'random 1 > File:%'"
    assert query(tmp_path, unlabelled) == [(result["candidates"],)], "a sample larger than the wiki is all of it"
    recipe(path, tmp_path, changes)
    code, out, _ = command(tmp_path, "export", "1.1.0", "--json")
    assert (code, "min_human_test = 0.5" in out) == (4, True), "nobody has judged anything"


def declared(root: Path) -> dict[str, str]:
    return {ref.rpartition("File:")[2]: label for ref, label in query(root, "SELECT ref, label FROM declared")}


def query(root: Path, sql: str) -> list[Any]:
    (path,) = root.rglob("catalog.db")
    with contextlib.closing(sqlite3.connect(path)) as db:
        return db.execute(sql).fetchall()
