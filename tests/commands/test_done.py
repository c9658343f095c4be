"""What verbs say is done is done: how runs are recorded, what stays where it is, what failed and what helps."""

from pathlib import Path
from typing import Any

import pytest

from curate.admin import stages
from curate.stats.coverage import KEPT, unnamed
from tests.support.calling import Command
from tests.support.folders import config, put
from tests.support.pictures import encode, texture

CONFIG = config()


@pytest.fixture
def curate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """A folder of three pictures, two of them in one class."""
    (tmp_path / "curate.toml").write_text(CONFIG)
    for n, label in enumerate(("neutral", "neutral", "drawings")):
        put(tmp_path, f"{label}/{n}.png", encode(texture(n), "PNG"))
    return Command(tmp_path, monkeypatch, capfd)


def runs(curate: Command, verb: str) -> list[dict[str, Any]]:
    return [one for one in curate("log", "--json").json["log"] if one["action"] == verb and "ended" in one]


# -- how runs are recorded -------------------------------------------------------------------------------------------


def test_run_passes_on_who_answers_for_pictures_that_leave(curate: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str | None] = []

    def exported(*_: Any, acknowledged: str | None = None) -> dict[str, Any]:
        said.append(acknowledged)
        return {}

    monkeypatch.setattr(stages, "exported", exported)
    for verb in ("grouped", "labelled"):
        monkeypatch.setattr(stages, verb, lambda *_: {})
    curate("run", "1.0.0", "--acknowledge", "Ada: for a review")
    assert said == ["Ada: for a review"]


def test_a_run_that_was_incomplete_or_failed_is_recorded_as_that(curate: Command) -> None:
    curate("label", code=3)
    curate("export", "1.0.0", code=2)
    curate("fetch")
    put(curate.root, "neutral/broken.png", b"no picture")
    curate("fetch", "--max-failures", "0", code=3)
    (one,) = runs(curate, "label")
    assert (one["ended"], one["why"]) == ("incomplete", "there is no sample to look at; `curate fetch` comes first")
    (one,) = runs(curate, "export")
    assert (one["ended"], one["why"].startswith("exit 2: nothing to release")) == ("failed", True)
    well, short = runs(curate, "fetch")
    assert (well["ended"], "why" in well, short["ended"]) == ("done", False, "incomplete")
    curate("report")
    page = (curate.root / "report.html").read_text()
    assert "incomplete" in page
    assert "exit 2: nothing to release" in page


def test_a_verify_that_finds_damage_is_recorded_as_failed(curate: Command) -> None:
    curate("fetch")
    assert curate("verify").err.splitlines()[-1] == "nothing is wrong"
    (blob,) = list((curate.root / "work" / "blobs").glob("*/*"))[:1]
    blob.chmod(0o600)
    blob.write_bytes(blob.read_bytes() + b"x")
    assert "nothing is wrong" not in curate("verify", code=1).err
    well, broken = runs(curate, "verify")
    assert (well["ended"], broken["ended"]) == ("done", "failed")
    assert broken["why"] == "exit 1: 1 of what was looked at is not as it was put there"


def test_the_record_of_a_run_names_no_item() -> None:
    why = f"{'ab' * 32}: /home/a b/c.jpg, https://example.org/x?sig=1\n(deadbeef) of 3 samples; `curate fetch`"
    assert unnamed(why) == "... ... ... ... of 3 samples; `curate fetch`"
    assert len(unnamed("word " * 1000)) <= KEPT


# -- what stays where it is ------------------------------------------------------------------------------------------


def test_a_takedown_names_the_file_that_is_left_in_the_users_folder(curate: Command) -> None:
    path = curate.root / "images/neutral/0.png"
    curate("fetch")
    said = curate("takedown", str(path), "--reason", "asked", "--json")
    assert said.json["left_in_source"] == [str(path)]
    assert path.exists()
    assert f"delete it yourself: {path}" in said.err
    assert curate("takedown", str(path), "--json").json["left_in_source"] == [str(path)]
    (curate.root / "images/neutral/1.png").rename(curate.root / "moved.png")
    gone = curate("takedown", str(curate.root / "images/neutral/1.png"), "--reason", "asked", "--json")
    assert (gone.json["removed"], gone.json["left_in_source"]) == (1, [])
    assert str(path) not in curate("log", "--json").out


# -- what failed, and what helps -------------------------------------------------------------------------------------


def test_what_a_local_file_failed_for_is_said_of_that_file(curate: Command) -> None:
    whole = encode(texture(9), "JPEG")
    path = put(curate.root, "neutral/cut.jpg", whole[: len(whole) // 2])
    curate("fetch")
    for name in (str(path), "neutral/cut.jpg"):
        assert curate("dedupe", "--explain", name).out.startswith("failed: truncated")
    said = curate("dedupe", "--explain", str(path), "--json").json
    assert (said["state"], said["reason"]) == ("failed", "truncated")
    curate("report")
    assert "neutral/cut.jpg" in (curate.root / "report.html").read_text()


def test_an_unchanged_file_is_not_worth_asking_for_again(curate: Command) -> None:
    whole = encode(texture(9), "JPEG")
    path = put(curate.root, "neutral/cut.jpg", whole[: len(whole) // 2])
    for args in (("fetch",), ("fetch", "--retry-failed")):
        assert "may pass" not in curate(*args).err
    path.write_bytes(whole[: len(whole) // 2 + 1])
    assert "1 failed for a reason that may pass" in curate("fetch").err
    path.write_bytes(whole)
    said = curate("fetch", "--retry-failed", "--json").json
    assert (said["stored"], said["failed"]) == (4, 0)


def test_an_item_is_named_as_a_release_names_it(curate: Command) -> None:
    put(curate.root, "drawings/0.png", encode(texture(7), "PNG"))
    curate("fetch")
    for verb in (("takedown", "0.png"), ("dedupe", "--explain", "0.png"), ("quarantine", "0.png", "--reason", "x")):
        err = curate(*verb, code=2).err
        assert "images/drawings/0.png" in err
        assert "images/neutral/0.png" in err
    assert curate("quarantine", "neutral/1.png", "--reason", "asked", "--json").json
    assert curate("takedown", "neutral/0.png", "--reason", "asked", "--json").json["removed"] == 1


def test_hashes_of_another_configuration_are_no_pictures_without_one(curate: Command) -> None:
    for verb in ("fetch", "dedupe", "label"):
        curate(verb)
    (curate.root / "list.txt").write_text("ab" * 16 + "\n")
    other = CONFIG.replace(
        "required = false", 'required = false\n[[screening.lists]]\nuse = "lines"\npath = "list.txt"'
    )
    (curate.root / "curate.toml").write_text(other)
    err = curate("export", "1.0.0", code=4).err
    assert "3 items have a perceptual hash of another configuration only" in err
    assert "`curate dedupe` makes" in err
    assert curate("status", "--json").json["next"] == "`curate dedupe`"
    curate("dedupe")
    assert curate("status", "--json").json["next"] == "`curate export 1.0.0`"
    curate("export", "1.0.0")


def test_a_function_that_raises_is_to_be_mended_where_it_is(curate: Command) -> None:
    file = curate.root / "mine.py"
    file.write_text(
        "from snorkel.labeling import labeling_function\n\n\n@labeling_function()\ndef breaks(x):\n    return 1 // 0\n"
    )
    (curate.root / "curate.toml").write_text(CONFIG + '[label]\nfunctions = ["mine.py"]\n')
    curate("fetch")
    curate("dedupe")
    said = curate("label", "--json", code=3)
    assert f"mend breaks in {file}" in said.json["incomplete"]
    assert said.json["next"] == f"mend breaks in {file}, then `curate label`"
    assert "threshold" not in said.err
    (curate.root / "curate.toml").write_text(CONFIG)
    assert curate("label", "--json").json["next"] == "`curate export 1.0.0`"


# -- what is printed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("export", "1.0.0"), 2), (("takedown", "0" * 64), 2), (("fetch", "--nonsense"), 2), (("export",), 2),
        (("fetch", "--limit", "x"), 2), (("decisions", "import", "none.csv"), 2),
    ],
)  # fmt: skip
def test_with_json_an_error_is_one_object(curate: Command, args: tuple[str, ...], code: int) -> None:
    said = curate(*args, "--json", code=code)
    assert said.json.keys() == {"error", "exit"}
    assert said.json["exit"] == code
    assert said.json["error"] in said.err
    assert not curate(*args, code=code).out


def test_what_was_answered_before_it_failed_stays_the_one_object(curate: Command) -> None:
    for verb in ("fetch", "dedupe", "label"):
        curate(verb)
    curate("export", "1.0.0")
    (curate.root / "work/releases/1.0.0").rename(curate.root / "aside")
    said = curate("status", "--json", code=1)
    assert (said.json["releases"], "error" in said.json) == (["1.0.0"], False)
    assert "Ways back" in said.err
    gone = curate("dedupe", "--json", code=1)
    assert (gone.json["exit"], "Ways back" in gone.json["error"]) == (1, True)


def test_what_is_left_out_has_the_same_number_everywhere(curate: Command) -> None:
    for name in ("a.txt", "b.txt"):
        put(curate.root, f"neutral/{name}", b"words")
    found = curate("fetch", "--json").json["left_out"]
    assert found == {"files that are named like no picture": 2}
    assert [one["notes"] for one in curate("status", "--json").json["sources"]] == [found]


def test_a_plan_knows_how_large_files_are(curate: Command) -> None:
    sizes = sum(path.stat().st_size for path in (curate.root / "images").rglob("*.png"))
    said = curate("fetch", "--plan", "--json").json
    assert (said["items"], said["bytes"], said["bytes_unknown"]) == (3, sizes, 0)
    assert [one["bytes"] for one in said["sources"]] == [sizes]
    curate("fetch")
    said = curate("fetch", "--plan", "--json").json
    assert (said["items"], said["bytes"], said["bytes_unknown"]) == (0, 0, 0)


def test_a_rebuild_says_what_it_is_and_lists_what_it_lacks(curate: Command) -> None:
    curate("fetch")
    for name in ("catalog.db", "catalog.db-seal"):
        (curate.root / "work" / name).unlink()
    lines = curate("verify", "--repair", "--rebuild").out.splitlines()
    assert any(one.startswith("catalog made anew:") for one in lines)
    assert "    - the log, and how earlier runs ended" in lines
    assert max(map(len, lines)) < 200


def test_a_queue_says_what_is_to_be_judged_by_two(curate: Command) -> None:
    for verb in ("fetch", "dedupe", "label"):
        curate(verb)
    said = curate("queue", "gold")
    assert "judged twice" not in said.out
    assert "to be judged by two" in said.out


def test_decisions_are_not_written_over_a_file_unless_forced(curate: Command) -> None:
    path = curate.root / "mine.csv"
    path.write_text("mine")
    assert "--force" in curate("decisions", "export", str(path), code=2).err
    assert path.read_text() == "mine"
    curate("decisions", "export", str(path), "--force")
    assert path.read_text() != "mine"
