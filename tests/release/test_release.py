"""What a row says and who says it, and that a release read back is the one that was written."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from curate.config import Config, ExportConfig, FetchConfig
from curate.errors import StoreError, UsageError
from curate.options import Plugin
from curate.records import SPLITS
from curate.release.export import export
from curate.release.reader import load
from curate.release.rows import config_sha256
from curate.store.workspace import Workspace
from tests.support.releases import QUIET, SCREENED, Item, Mention, stocked


def released(ws: Workspace) -> dict[str, Any]:
    return export(ws, "1.0.0", {}, QUIET, SCREENED)


def rows(ws: Workspace) -> dict[str, dict[str, Any]]:
    """Every released row, by id."""
    release = load(ws.work / "releases" / "1.0.0")
    return {row["id"]: row for split in SPLITS for row in release.rows[split].to_pylist()}


def test_people_overrule_the_label_model_and_carried_words_are_not_counted(tmp_path: Path) -> None:
    people = {"content": {"ada": "sexy", "bob": "sexy", "cy": "neutral"}}
    ws = stocked(tmp_path, [Item("judged", people=people), Item("twin", survivor="judged"), Item("weak")])
    with ws.catalog.tx() as db:  # the unjudged twin is the one that survives
        db.execute("UPDATE members SET survivor = ? WHERE sample <> ?", (Item("twin").id, Item("weak").id))
    released(ws)
    found = {row["id"]: (row["label"], row["label_source"], row["human_n"], row["weight"]) for row in rows(ws).values()}
    assert found == {Item("twin").id: ("sexy", "human", 0, 1.0), Item("weak").id: ("neutral", "weak", 0, 0.9)}


@pytest.mark.parametrize(
    ("said", "released_as"),
    [
        (("sexy", "sexy", "sexy"), "sexy"),
        (("sexy", "neutral", None), None),
        (("neutral", "sexy", None), None),
        ((None, "unsure", None), "neutral"),
        ((None, "sexy", "porn"), None),
    ],
)
def test_where_people_contradict_each_other_nobody_is_believed(
    tmp_path: Path, said: tuple[str | None, ...], released_as: str | None
) -> None:
    """What ada says of the survivor, and what ada and bob say of its twin. `unsure` is no class, and no answer."""

    def people(**answers: str | None) -> dict[str, dict[str, str]]:
        return {"content": {who: label for who, label in answers.items() if label is not None}}

    twin = Item("twin", survivor="kept", people=people(ada=said[1], bob=said[2]))
    ws = stocked(tmp_path, [Item("kept", people=people(ada=said[0])), twin, Item("other")])
    result = released(ws)
    assert result["excluded"] == {"duplicate": 1} | ({} if released_as else {"conflict": 1})
    kept = rows(ws).get(Item("kept").id)
    assert (kept and kept["label"]) == released_as


MENTIONS = [
    Mention("https://b.example/licensed.jpg", "CC0"),
    Mention("https://c.example/licensed.jpg", "CC0"),
    Mention("https://a.example/bare.jpg"),
    Mention("/home/someone/a.jpg", "CC0", ref="a.jpg"),
]


def test_a_licensed_url_is_named_before_others_then_the_first(tmp_path: Path) -> None:
    for n, (mentions, url) in enumerate(
        [
            (MENTIONS, "https://b.example/licensed.jpg"),
            (MENTIONS[2:], None),
            ([MENTIONS[2], Mention("https://A.example/bare.jpg")], "https://A.example/bare.jpg"),
        ]
    ):
        ws = stocked(tmp_path / str(n), [Item("x", mentions=mentions)])
        released(ws)
        assert rows(ws)[Item("x").id]["url"] == url


def test_only_options_that_change_rows_change_the_config_hash(tmp_path: Path) -> None:
    functions = tmp_path / "mine.py"
    functions.write_text("x = 1\n")
    plain = Config()
    with_functions = replace(plain, label=replace(plain.label, functions=(functions,)))
    before = config_sha256(with_functions)
    functions.write_text("x = 2\n")
    assert config_sha256(plain) == config_sha256(
        replace(plain, fetch=FetchConfig(contact="a@b"), train=replace(plain.train, seed=9))
    )
    assert config_sha256(plain) == config_sha256(replace(plain, export=ExportConfig(formats=("csv",))))
    changed = [
        replace(plain, export=ExportConfig(salt="x")),
        replace(plain, dedupe=replace(plain.dedupe, group_radius=9)),
    ]
    assert len({config_sha256(plain), *map(config_sha256, changed), before, config_sha256(with_functions)}) == 5
    functions.unlink()
    with pytest.raises(UsageError, match=r"mine\.py"):
        config_sha256(with_functions)


def test_a_release_says_what_its_labelers_ask_it_to(tmp_path: Path) -> None:
    """Of a licence, for one; where none asks, nothing is said."""
    tables = (Plugin("nudenet", {"name": "parts"}, "labelers"), Plugin("open_nsfw", where="labelers"))
    for name, labelers in (("with", tables), ("without", tables[1:])):
        ws = stocked(tmp_path / name, [Item("a"), Item("b", split="test")], Config(labelers=labelers))
        released(ws)
        header = load(ws.work / "releases" / "1.0.0").header
        assert header.get("notices", {}).keys() == ({"parts"} if name == "with" else set())
        assert name == "without" or "AGPL-3.0" in header["notices"]["parts"]
        ws.close()


def test_a_changed_file_is_found_out(tmp_path: Path) -> None:
    ws = stocked(tmp_path, [Item("x")])
    sha256 = released(ws)["sha256"]
    folder = ws.work / "releases" / "1.0.0"
    load(folder, sha256)
    for name in ("release.json", "val.parquet"):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(StoreError, match=f"{name}: not the bytes that were released"):
            load(folder, sha256)
        (folder / name).write_bytes(whole)
    (folder / "test.parquet").unlink()
    with pytest.raises(StoreError, match="No such file"):
        load(folder, sha256)
