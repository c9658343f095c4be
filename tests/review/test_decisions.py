"""What people said comes in once, exactly where it belongs, or not at all."""

import csv
import dataclasses
import os
import unicodedata
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate.config import Config
from curate.errors import UsageError
from curate.records import UNSURE, Axis, Taxonomy
from curate.review.decisions_csv import export_csv, import_csv
from curate.store import lookup, views
from curate.store.workspace import Workspace
from tests.support.samples import sha256, store

AXES = (Axis(), Axis("medium", ("photograph", "drawing"), ("photograph", "drawing"), ()))
FILES = [b"one", b"two", b"three"]
IDS = [sha256(data) for data in FILES]
HEAD = "label,annotator,time"
WHEN = "2026-05-01T09:30:00Z"


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    ws = Workspace(tmp_path / "ws", dataclasses.replace(Config(), taxonomy=Taxonomy(axes=AXES)))
    store(ws, FILES)
    with ws.catalog.tx() as db:
        for n, (path, page) in enumerate((("a/cat.jpg", "1"), ("b/cat.jpg", "2"), ("b/dog.jpg", "2"))):
            db.execute(
                "INSERT INTO candidates (kind, locator, state, sample) VALUES ('path', ?, 'stored', ?)",
                (f"/media/{path}", IDS[n]),
            )
            db.execute("INSERT OR IGNORE INTO sources (source, plugin, options) VALUES ('wiki', 'commons', '{}')")
            candidate = db.execute("SELECT candidate FROM candidates WHERE sample = ? AND kind = 'url'", (IDS[n],))
            db.execute(
                "INSERT INTO mentions (candidate, source, ref, page_id) VALUES (?, 'wiki', 'x', ?)",
                (candidate.fetchone()[0], f"commons:{page}"),
            )
    return ws


def file(tmp_path: Path, *lines: str, encoding: str = "utf-8") -> Path:
    path = tmp_path / "given.csv"
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return path


def rows(ws: Workspace, columns: str = "sample, label, reviewer") -> list[tuple[Any, ...]]:
    return [tuple(row) for row in ws.catalog.all(f"SELECT {columns} FROM decisions ORDER BY decision")]


# -- joining ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "values", "sample"),
    [
        ("sha256", IDS[0], 0),
        ("sha256", IDS[0].upper(), 0),
        ("url", f"https://example.org/{IDS[1][:8]}.jpg", 1),
        ("path", "/media/b/cat.jpg", 1),
        ("path", "b/cat.jpg", 1),
        ("path", "./b/cat.jpg", 1),
        ("path", "b\\cat.jpg", 1),
        ("path", "dog.jpg", 2),
        ("page_id", "1", 0),
        ("page_id", "commons:1", 0),
        ("path,page_id", "cat.jpg,2", 1),  # each fits two, both together one
        ("sha256,path", f",{'dog.jpg'}", 2),
        ("sha256,path", f"{IDS[2]},nowhere.jpg", 2),  # what one key does not know, another may
    ],
)
def test_a_row_finds_its_sample(ws: Workspace, tmp_path: Path, keys: str, values: str, sample: int) -> None:
    result = import_csv(ws, file(tmp_path, f"{keys},{HEAD}", f"{values},neutral,ada,{WHEN}"))
    assert result == {"rows": 1, "added": 1, "known": 0, "not_found": 0, "lines": [], "incomplete": None}
    assert rows(ws) == [(IDS[sample], "neutral", "ada")]


@pytest.mark.parametrize(
    ("keys", "values", "message"),
    [
        ("path", "cat.jpg", r"given.csv:3: path fits 2 samples; name the one that is meant by its sha256"),
        ("page_id", "2", r"given.csv:3: page_id fits 2 samples"),
        ("sha256,path", f"{IDS[0]},dog.jpg", r"given.csv:3: sha256 and path fits different samples by different keys"),
        ("sha256,path", ",", r"given.csv:3: names no sample; give one of sha256, page_id, url, path"),
    ],
)
def test_an_ambiguous_row_is_refused_with_its_file(
    ws: Workspace, tmp_path: Path, keys: str, values: str, message: str
) -> None:
    good = (
        ",".join([IDS[2], *[""] * keys.count(",")]) if keys.startswith("sha256") else ("dog.jpg", "1")[keys != "path"]
    )
    path = file(tmp_path, f"{keys},{HEAD}", f"{good},neutral,ada,{WHEN}", f"{values},neutral,ada,{WHEN}")
    with pytest.raises(UsageError, match=message):
        import_csv(ws, path)
    assert rows(ws) == [], "all or none"


def test_what_is_not_here_is_counted_and_named(ws: Workspace, tmp_path: Path) -> None:
    lines = [f"{one},neutral,ada,{WHEN}" for one in ("f" * 64, IDS[0], "e" * 64)]
    result = import_csv(ws, file(tmp_path, f"sha256,{HEAD}", *lines))
    assert result == {"rows": 3, "added": 1, "known": 0, "not_found": 2, "lines": [2, 4], "incomplete": None}
    none = import_csv(ws, file(tmp_path, f"sha256,{HEAD}", lines[0], lines[2]))
    assert none["incomplete"] == "no sample that given.csv names is here (2 rows)"


def test_ends_of_names_are_no_ends_of_paths(ws: Workspace, tmp_path: Path) -> None:
    assert import_csv(ws, file(tmp_path, f"path,{HEAD}", f"at.jpg,neutral,ada,{WHEN}"))["not_found"] == 1


# -- what a row says -------------------------------------------------------------------------------------------------


def test_a_decision_is_kept_as_it_was_given(ws: Workspace, tmp_path: Path) -> None:
    ws.catalog.begin("decisions import", "")
    text = [f"axis,guideline,{HEAD},sha256,other",
            f"medium,v2,drawing, Ada  L. ,2026-05-01T11:30:00.5+02:00,{IDS[0]},x",
            f",,sexy,bob,2026-05-01,{IDS[0]},"]  # fmt: skip
    import_csv(ws, file(tmp_path, *text, encoding="utf-8-sig"))
    columns = "sample, axis, taxonomy, reviewer, label, decided_at, shown, guideline, run, undoes, carried_from"
    assert rows(ws, columns) == [
        (IDS[0], "content", "1", "bob", "sexy", "2026-05-01T00:00:00.000Z", "imported", None,
         ws.catalog.run, None, None),
        (IDS[0], "medium", "1", "Ada  L.", "drawing", "2026-05-01T09:30:00.500Z", "imported", "v2",
         ws.catalog.run, None, None),
    ]  # fmt: skip
    assert views.humans(ws.catalog, "medium", "1", AXES[1].classes)[IDS[0]].label == "drawing"


def test_each_decision_is_in_the_log(ws: Workspace, tmp_path: Path) -> None:
    path = file(tmp_path, f"sha256,{HEAD}", *(f"{one},neutral,ada,{WHEN}" for one in IDS))
    import_csv(ws, path)
    import_csv(ws, path)
    logged = ws.catalog.all("SELECT subject FROM log WHERE action = 'decision' ORDER BY seq")
    assert [row[0] for row in logged] == [ws.catalog.digest("id", one) for one in IDS]
    assert ws.catalog.broken_links() == []


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], r"given.csv: no column 'label'; there are: none"),
        (["sha256,label,time"], r"given.csv: no column 'annotator'; there are: sha256, label, time"),
        ([f"sha256,label,{HEAD}", f"{IDS[0]},porn,neutral,ada,{WHEN}"], r"given.csv: column 'label' is there twice"),
        ([f"sha256,{HEAD},url,url", f"{IDS[0]},porn,ada,{WHEN},,"], r"given.csv: column 'url' is there twice"),
        ([f"sha256,{HEAD}", f"{IDS[0]},neutral,ada,{WHEN}", f"{IDS[0]},porn,ada,2026-05-01T11:30:00+02:00"],
         r"given.csv:3: ada says porn here and neutral in line 2, of the same sample at the same time"),
        ([f"sha256;{HEAD}", f"{IDS[0]},neutral,ada,{WHEN}"], r"no column 'label'|no column that names a sample"),
        ([HEAD], r"given.csv: no column that names a sample; give one of sha256, page_id, url, path"),
        ([f"sha256,{HEAD}", f"{IDS[0]},pron,ada,{WHEN}"],
         r"given.csv:2: label: no such class 'pron' on axis content; did you mean 'porn'\?"),
        ([f"sha256,axis,{HEAD}", f"{IDS[0]},medum,drawing,ada,{WHEN}"],
         r"given.csv:2: axis: no such axis 'medum'; did you mean 'medium'\?"),
        ([f"sha256,axis,{HEAD}", f"{IDS[0]},medium,neutral,ada,{WHEN}"], r"no such class 'neutral' on axis medium"),
        ([f"sha256,{HEAD}", f"{IDS[0]},neutral,,{WHEN}"], r"given.csv:2: annotator is empty"),
        ([f"sha256,{HEAD}", f"{IDS[0]},neutral,ada"], r"given.csv:2: time is empty"),
        ([f"sha256,{HEAD}", f"{IDS[0]},neutral,ada,yesterday"], r"given.csv:2: time: 'yesterday' is no ISO 8601 time"),
        ([f"sha256,{HEAD}", f"{IDS[0]},neutral,ada,0001-01-01T00:00:00+23:00"], r"is no ISO 8601 time"),
        ([f"sha256,{HEAD}", f"{IDS[0]},neutral,ada,{WHEN},more"], r"given.csv:2: more values than columns"),
        ([f"sha256,{HEAD}", f"{'f' * 64},pron,ada,{WHEN}"], r"no such class 'pron'"),  # though its sample is not here
    ],
)  # fmt: skip
def test_a_file_that_says_what_cannot_be_is_refused(
    ws: Workspace, tmp_path: Path, lines: list[str], message: str
) -> None:
    path = tmp_path / "given.csv"
    path.write_text("\n".join(lines))
    with pytest.raises(UsageError, match=message):
        import_csv(ws, path)
    assert rows(ws) == []


@pytest.mark.parametrize("data", [b"\xff\xfe,\x00", b'sha256,label,annotator,time\n"a\x00b",neutral,ada,2026'])
def test_a_file_that_is_no_text_is_refused(ws: Workspace, tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "given.csv"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=r"given.csv"):
        import_csv(ws, path)
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        import_csv(ws, tmp_path / "nowhere.csv")


def test_a_pipe_is_no_file(ws: Workspace, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "given.csv")
    with pytest.raises(UsageError, match="no plain file"):
        import_csv(ws, tmp_path / "given.csv")


@pytest.mark.parametrize(
    ("parted", "encoding"), [(";", "utf-8"), ("\t", "utf-8-sig"), (",", "utf-16"), (";", "utf-32"), (",", "utf-8")]
)
def test_a_file_as_spreadsheets_write_it_is_read(ws: Workspace, tmp_path: Path, parted: str, encoding: str) -> None:
    """Any delimiter and byte order mark, rows of empty cells at the end, columns that nobody asked for twice."""
    said = [f"sha256,note,{HEAD},note", f"{IDS[0]},é,neutral,Zoë,{WHEN},x", ",,,,,", "", ",,,,,"]
    result = import_csv(ws, file(tmp_path, *(one.replace(",", parted) for one in said), encoding=encoding))
    assert (result["rows"], result["added"]) == (1, 1)
    assert rows(ws) == [(IDS[0], "neutral", "Zoë")]


def test_bytes_that_are_no_text_are_refused_with_their_line(ws: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "given.csv"
    path.write_bytes(f"sha256,{HEAD}\n{IDS[0]},neutral,ada,{WHEN}\n{IDS[1]},neutral,Zo\xeb,{WHEN}\n".encode("latin-1"))
    with pytest.raises(UsageError, match=r"given\.csv:3: not UTF-8 \(Latin-1\?\); save the table as UTF-8$"):
        import_csv(ws, path)
    path.write_bytes(f"sha256,{HEAD},été\n{IDS[0]},neutral,ada,{WHEN}\n".encode("latin-1"))
    with pytest.raises(UsageError, match=r"given\.csv:1: not UTF-8 \(Latin-1\?\)"):
        import_csv(ws, path)
    path.write_text(f"sha256,{HEAD}\n", encoding="utf-16-le")
    with pytest.raises(UsageError, match=r"given\.csv:1: .* UTF-16 without a byte order mark\); save it as UTF-8"):
        import_csv(ws, path)
    assert rows(ws) == []


def test_a_path_that_is_no_utf8_is_named_by_its_bytes(ws: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "given.csv"
    path.write_bytes(f"path,{HEAD}\nb/café.jpg,neutral,ada,{WHEN}\n".encode("latin-1"))
    with pytest.raises(UsageError, match=r"given\.csv:2: not UTF-8 .* no UTF-8 itself is b/caf%E9\.jpg"):
        import_csv(ws, path)
    with ws.catalog.tx() as db:
        db.execute("UPDATE candidates SET locator = 'file:///a/b/caf%E9.jpg' WHERE locator LIKE '%dog.jpg'")
    assert import_csv(ws, file(tmp_path, f"path,{HEAD}", f"b/caf%E9.jpg,neutral,ada,{WHEN}"))["added"] == 1


def test_names_of_columns_alone_are_no_decisions(ws: Workspace, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"given\.csv: no decisions in it"):
        import_csv(ws, file(tmp_path, f"sha256,{HEAD}", "", ",,,"))


@pytest.mark.parametrize(("stored", "given"), [("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD")])
def test_a_path_is_found_in_any_form_of_its_accents(ws: Workspace, tmp_path: Path, stored: Any, given: Any) -> None:
    path = unicodedata.normalize(stored, "/media/été/à la plage.jpg")
    with ws.catalog.tx() as db:
        db.execute("INSERT INTO candidates (kind, locator, state, sample) VALUES ('path', ?, 'stored', ?)",
                   (path, IDS[2]))  # fmt: skip
    name = unicodedata.normalize(given, "été/à la plage.jpg")
    assert import_csv(ws, file(tmp_path, f"path,{HEAD}", f"{name},neutral,ada,{WHEN}"))["added"] == 1
    assert lookup.one(ws.catalog, unicodedata.normalize(given, path)) == IDS[2]


def test_a_second_answer_for_one_time_is_refused_beside_the_workspaces(ws: Workspace, tmp_path: Path) -> None:
    import_csv(ws, file(tmp_path, f"sha256,{HEAD}", f"{IDS[0]},neutral,ada,{WHEN}"))
    other = file(tmp_path, f"sha256,{HEAD}", f"{IDS[1]},porn,ada,{WHEN}", f"{IDS[0]},porn,ada,{WHEN}")
    with pytest.raises(UsageError, match=r"given\.csv:3: ada says porn here and neutral in the workspace"):
        import_csv(ws, other)
    assert len(rows(ws)) == 1
    several = file(tmp_path, f"sha256,axis,{HEAD}", f"{IDS[0]},content,neutral,bob,{WHEN}",
                   f"{IDS[0]},medium,drawing,bob,{WHEN}", f"{IDS[0]},content,porn,eve,{WHEN}")  # fmt: skip
    assert import_csv(ws, several)["added"] == 3


def test_names_that_differ_in_capitals_only_are_warned_of(
    ws: Workspace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import_csv(ws, file(tmp_path, f"sha256,{HEAD}", f"{IDS[0]},neutral,Ada,{WHEN}", f"{IDS[1]},neutral,bob,{WHEN}"))
    assert not caplog.records
    import_csv(ws, file(tmp_path, f"sha256,{HEAD}", f"{IDS[2]},neutral,ada,{WHEN}"))
    assert "annotators Ada, ada count as 2 people" in caplog.text


def test_no_cell_of_an_export_is_run_by_a_spreadsheet(ws: Workspace, tmp_path: Path) -> None:
    names = ("=1+1", "+1", "-1", "@x", "'=1", "''", "'x", "x=1")
    out, again = tmp_path / "out.csv", tmp_path / "again.csv"
    import_csv(ws, file(tmp_path, f"sha256,{HEAD}", *(f"{IDS[0]},neutral,{name},{WHEN}" for name in names)))
    people = {row[2] for row in rows(ws)}
    assert people == {"=1+1", "+1", "-1", "@x", "=1", "'", "'x", "x=1"}
    export_csv(ws, out)
    cells = [cell for row in list(csv.reader(out.read_text(encoding="utf-8").splitlines()))[1:] for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    assert import_csv(ws, out)["added"] == 0
    export_csv(ws, again)
    assert again.read_bytes() == out.read_bytes()


# -- once ------------------------------------------------------------------------------------------------------------


def test_what_was_taken_back_does_not_return_with_the_file(ws: Workspace, tmp_path: Path) -> None:
    path = file(tmp_path, f"sha256,{HEAD}", f"{IDS[0]},neutral,ada,{WHEN}")
    import_csv(ws, path)
    with ws.catalog.tx() as db:
        db.execute(
            "INSERT INTO decisions (sample, axis, taxonomy, reviewer, label, decided_at, shown, undoes)"
            " SELECT sample, axis, taxonomy, reviewer, label, decided_at, 'revealed', decision FROM decisions"
        )
    assert import_csv(ws, path)["known"] == 1
    assert views.humans(ws.catalog, "content", "1", AXES[0].classes) == {}
    assert export_csv(ws, tmp_path / "out.csv")["rows"] == 0


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=9).filter(
    lambda text: text == text.strip()
)
WHENEVER = st.datetimes(datetime(2000, 1, 1), datetime(2026, 6, 1))
SAID = st.fixed_dictionaries(
    {
        "sha256": st.sampled_from(IDS),
        "label": st.sampled_from((*AXES[0].classes, UNSURE)),
        "annotator": TEXT,
        "time": WHENEVER,
        "guideline": st.none() | TEXT,
        "queue": st.none() | TEXT,
        "inclusion": st.none() | st.floats(0, 1),
        "shown": st.none() | st.sampled_from(["obscured", "revealed", "unobscured", "blind", "imported"]),
        "media": st.none() | st.sampled_from(["obscured", "revealed", "unobscured"]),
        "seconds": st.none() | st.floats(0, 1e6),
        "undone": st.none() | WHENEVER,
        "reason": st.none() | TEXT,
    }
)


def written(path: Path, said: list[dict[str, Any]]) -> Path:
    """The rows as a file; one with a reason is a precedent, which nobody takes back."""
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, [*SAID_KEYS, "kind"])
        writer.writeheader()
        for one in said:
            kind = "decision" if one["reason"] is None else "precedent"
            if kind == "precedent":
                one = dict.fromkeys(one) | {key: one[key] for key in ("sha256", "annotator", "time", "reason")}
                one["label"] = "neutral"
            writer.writerow(one | {"kind": kind})
    return path


SAID_KEYS = (
    "sha256", "label", "annotator", "time", "guideline", "queue", "inclusion", "shown", "media", "seconds", "undone",
    "reason",
)  # fmt: skip


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(SAID, min_size=1, max_size=6, unique_by=lambda one: (one["sha256"], one["annotator"], one["time"])))
def test_what_is_exported_can_be_imported(tmp_path_factory: pytest.TempPathFactory, said: list[Any]) -> None:
    """Into another workspace it brings the same decisions, into this one none; the same file twice adds nothing."""
    root = tmp_path_factory.mktemp("round")
    first, second = (Workspace(root / name, Config()) for name in ("first", "second"))
    given, out, again = written(root / "given.csv", said), root / "out.csv", root / "again.csv"
    for ws in (first, second):
        store(ws, FILES)
    added = import_csv(first, given)["added"]
    assert import_csv(first, given)["added"] == 0
    counts = export_csv(first, out)
    assert sum(counts[key] for key in ("rows", "undone", "precedents")) == added  # type: ignore[misc]
    assert import_csv(first, out)["added"] == 0
    assert import_csv(second, out)["added"] == added
    export_csv(second, again)
    assert again.read_bytes() == out.read_bytes()
    for ask in (views.votes, views.precedents):
        assert ask(first.catalog, "content", "1") == ask(second.catalog, "content", "1")
    for ws in (first, second):
        ws.close()


@pytest.mark.parametrize(
    ("columns", "values", "message"),
    [
        ("inclusion", "1.5", r"given.csv:2: inclusion: '1.5' is not a number from 0 to 1"),
        ("seconds", "nan", r"given.csv:2: seconds: 'nan' is not a number from 0"),
        ("shown", "blnd", r"given.csv:2: shown: no such choice 'blnd'; did you mean 'blind'"),
        ("kind", "precedent", r"given.csv:2: reason: a precedent has one, a decision has none"),
        ("reason", "because", r"given.csv:2: reason: a precedent has one, a decision has none"),
        ("undone", "later", r"given.csv:2: time: 'later' is no ISO 8601 time"),
    ],
)
def test_what_a_decision_was_given_under_is_checked(
    ws: Workspace, tmp_path: Path, columns: str, values: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        import_csv(ws, file(tmp_path, f"sha256,{HEAD},{columns}", f"{IDS[0]},neutral,ada,{WHEN},{values}"))
    assert rows(ws) == []


def test_who_cannot_tell_says_nothing(ws: Workspace, tmp_path: Path) -> None:
    import_csv(ws, file(tmp_path, f"sha256,{HEAD}", f"{IDS[0]},unsure,ada,{WHEN}", f"{IDS[0]},porn,bob,{WHEN}"))
    assert views.votes(ws.catalog, "content", "1")[IDS[0]] == {"unsure": 1, "porn": 1}
    assert views.humans(ws.catalog, "content", "1", AXES[0].classes)[IDS[0]] == views.Human("porn", 1, 1.0)


def test_a_file_that_cannot_be_written_is_one_line(ws: Workspace, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        export_csv(ws, tmp_path / "no" / "such" / "folder.csv")
