"""The command as its user meets it: the whole way on a folder, JSON that keeps its keys, one line for what is wrong."""

import csv
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import cli
from curate.commands.context import Context
from curate.config import load
from curate.review.journal import Journal
from curate.store.workspace import Workspace
from tests.support.calling_here import command
from tests.support.pictures import encode, photograph, texture

CONFIG = """
[screening]
required = false
[[sources]]
use = "local"
path = "images"
label_from = "folder"
[[labelers]]
use = "declared"
"""
KEYS = {
    "fetch": {"candidates", "stored", "failed", "pending", "reasons", "bytes", "seconds"},
    "dedupe": {"samples", "groups", "duplicates", "conflicts", "seconds"},
    "label": {"samples", "labelled", "abstained", "model", "functions", "seconds"},
    "export": {"version", "path", "rows", "excluded", "sha256"},
    "train": {"version", "classes", "test", "path", "seconds"},
    "status": {"candidates", "samples", "failed", "duplicates", "labelled", "reviewed", "releases"},
    "verify": {"blobs", "missing", "corrupt", "orphans", "items"},
}


def curate(root: Path, *args: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    run = subprocess.CompletedProcess(args, *command(root, *args))
    assert run.returncode == code, run.stdout + run.stderr
    return run


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("folder")
    (root / "curate.toml").write_text(CONFIG)
    photo = photograph()
    for n in range(24):
        x, y = 64 * (n % 6), 64 * (n // 6)
        for label, image in (("neutral", photo.crop((x, y, x + 96, y + 96))), ("drawings", texture(n, (96, 96)))):
            path = root / "images" / label / f"{n}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode(image, "PNG"))
    return root


@pytest.fixture(scope="module")
def ran(root: Path) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = json.loads(curate(root, "run", "1.0.0", "--json").stdout)
    found["train"] = json.loads(curate(root, "train", "1.0.0", "--json", "-q").stdout)
    for verb in ("status", "verify"):
        found[verb] = json.loads(curate(root, verb, "--json").stdout)
    return found


@pytest.mark.parametrize("verb", KEYS)
def test_json_keeps_its_keys(ran: dict[str, dict[str, object]], verb: str) -> None:
    assert KEYS[verb] <= ran[verb].keys()


def test_the_whole_way_adds_up(ran: dict[str, dict[str, object]]) -> None:
    assert ran["fetch"]["candidates"] == ran["fetch"]["stored"] == 48
    rows = ran["export"]["rows"]
    assert isinstance(rows, dict)
    assert sum(rows.values()) == ran["label"]["labelled"] == ran["status"]["labelled"]
    assert ran["status"]["releases"] == ["1.0.0"]
    assert ran["verify"]["items"] == []


def test_run_again_redoes_nothing_that_is_done(root: Path, ran: dict[str, dict[str, object]]) -> None:
    again = json.loads(curate(root, "run", "1.0.0", "--json").stdout)
    assert "export" not in again
    assert again["fetch"]["stored"] == 48


def test_quiet_says_nothing_and_json_says_one_object(root: Path, ran: dict[str, dict[str, object]]) -> None:
    quiet = curate(root, "dedupe", "-q")
    assert (quiet.stdout, quiet.stderr) == ("", "")
    assert len(curate(root, "dedupe", "--json").stdout.splitlines()) == 1


def test_the_report_is_one_page(root: Path, ran: dict[str, dict[str, object]]) -> None:
    path = json.loads(curate(root, "report", "--json").stdout)["path"]
    assert "</html>" in Path(path).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ("[fetcj]", "curate.toml: fetcj: no such key; did you mean 'fetch'?"),
        ('[[sources]]\nuse = "urllst"', "sources.urllst: no such source; did you mean 'urllist'?"),
        ('[[sources]]\nuse = "local"\npath = "absent"\nlabel = "neutral"', "absent: no such folder"),
        ('[[sources]]\nuse = "local"\npath = "empty"\nlabel = "neutral"', "no images in this folder"),
        ('[[sources]]\nuse = "urllist"\npath = "list.txt"\nlabel = "neutral"', "not one URL in it"),
        ('[[sources]]\nuse = "local"\npath = "empty"\nlabel = "nuetral"', "did you mean 'neutral'?"),
        ("", "no [[sources]]"),
    ],
)
def test_what_is_wrong_is_one_line_and_exit_2(tmp_path: Path, config: str, says: str) -> None:
    (tmp_path / "curate.toml").write_text(f"[screening]\nrequired = false\n{config}\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "list.txt").write_text("# nothing\n\n")
    error = curate(tmp_path, "fetch", "-q", code=2).stderr
    assert says in error
    assert len(error.splitlines()) == 1


def test_no_config_is_said_with_the_way_out(tmp_path: Path) -> None:
    assert "`curate init`" in curate(tmp_path, "status", code=2).stderr
    curate(tmp_path, "init")
    assert json.loads(curate(tmp_path, "status", "--json").stdout)["candidates"] == 0


def test_people_are_asked_decide_and_are_heard(root: Path, ran: dict[str, dict[str, object]], tmp_path: Path) -> None:
    """A queue is drawn, judged, contradicted and settled, by the command; the next release says so."""
    drawn = json.loads(curate(root, "queue", "audit", "--size", "12", "--json").stdout)
    assert (drawn["queue"], drawn["items"], drawn["made"], drawn["reported"]) == ("audit", 12, True, True)
    assert sum(one["n"] for one in drawn["strata"].values()) == 12
    assert json.loads(curate(root, "queue", "audit", "--json").stdout)["made"] is False
    assert "queue.adit: no such queue; did you mean 'audit'" in curate(root, "queue", "adit", code=2).stderr
    ws = Workspace(root, load(root))
    items = [item.sample for item in Journal(ws.catalog, ws.config, "audit", "ada").items()]
    for who, label in (("ada", "porn"), ("bob", "neutral")):
        Journal(ws.catalog, ws.config, "audit", who).decide(items[0], label)
    ws.close()
    assert curate(root, "adjudicate", items[0], "sexy", "--reviewer", "ada", "--reason", "x", code=2).stderr
    ruled = ("adjudicate", items[0], "sexy", "--reviewer", "eve", "--reason", "a bikini; see 3", "--json")
    assert json.loads(curate(root, *ruled).stdout)["votes"] == {"neutral": 1, "porn": 1}
    said = json.loads(curate(root, "status", "--json").stdout)["human"]
    assert (said["decisions"], said["reviewers"], said["precedents"]) == (2, 2, 1)
    curate(root, "export", "2.0.0", "-q")
    files = [root / f"work/exports/2.0.0/csv/{split}.csv" for split in ("train", "val", "test")]
    rows = [row for file in files for row in csv.DictReader(file.read_text(encoding="utf-8").splitlines())]
    (row,) = (row for row in rows if row["id"] == items[0])
    told = ("sexy", "human", '{"neutral":1,"porn":1}')
    assert (row["label"], row["label_source"], row["votes"]) == told
    out = str(tmp_path / "out.csv")
    exported = json.loads(curate(root, "decisions", "export", out, "--json").stdout)
    assert (exported["rows"], exported["precedents"]) == (2, 1)
    assert json.loads(curate(root, "decisions", "import", out, "--json").stdout)["added"] == 0
    page = Path(json.loads(curate(root, "report", "--json").stdout)["path"]).read_text(encoding="utf-8")
    assert "a bikini; see 3" in page
    assert not any(name in page for name in (">ada<", ">bob<", ">eve<"))


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("-w", "x", "status"), "-w goes behind the verb: curate VERB -w ..."),
        (("--json", "status"), "--json goes behind the verb"),
        (("--limit=3", "fetch"), "--limit=3 goes behind the verb"),
        (("--nonsense", "fetch"), "No such option: --nonsense"),
        (("screening", "incident", "abc"), "Invalid value for '[ID]': a whole number is wanted"),
        (("fetch", "--limit", "few"), "a whole number is wanted"),
    ],
)
def test_what_is_wrong_with_the_words_is_said_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], args: tuple[str, ...], says: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["curate", *args])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2
    assert says in capfd.readouterr().err


def test_nothing_that_strangers_wrote_is_obeyed_by_a_terminal(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Escape sequences of seven and of eight bits, and what turns the direction of text."""
    evil = "a\x1b]0;x\x07\x9b2J\u202e\ud800\nb"
    for as_json in (False, True):
        session = Context(None, None, as_json, False, False)
        session.say({"a": evil, "b": {"c": evil}, "d": [{"e": evil}], "é": "è"})
        session.note(evil)
        said = capsys.readouterr()
        for text in (said.out, said.err):
            assert not set(text) & set("\x1b\x07\x9b\u202e\ud800"), text
        assert "è" in said.out
        if as_json:
            assert json.loads(said.out)["b"]["c"] == evil
    record = logging.LogRecord("x", logging.WARNING, "", 1, "class %s", (evil,), None)
    assert cli._Warnings().format(record) == r"class a\x1b]0;x\x07\x9b2J\u202e\ud800\nb"


@pytest.mark.parametrize(("required", "code", "said"), [("true", 4, False), ("false", 0, True)])
def test_that_screening_is_off_is_said_where_something_is_fetched(
    tmp_path: Path, required: str, code: int, said: bool
) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.png").write_bytes(encode(texture(1), "PNG"))
    config = '[[sources]]\nuse = "local"\npath = "images"\nlabel = "neutral"\n'
    (tmp_path / "curate.toml").write_text(f"[screening]\nrequired = {required}\n{config}")
    assert ("SCREENING IS OFF" in curate(tmp_path, "fetch", code=code).stderr) is said
    status = curate(tmp_path, "screening", "status", "--json", code=code)
    assert json.loads(status.stdout)["problems"] == (["required, and no list is loaded"] if code else [])


@pytest.mark.parametrize("args", [(), ("sources",)])
def test_nothing_asked_for_is_the_help(args: tuple[str, ...]) -> None:
    run = subprocess.run([sys.executable, "-m", "cli", *args], capture_output=True, text=True)
    assert (run.returncode, run.stderr.count("\n") > 7, "\\n" in run.stderr) == (2, True, False)


def test_a_switch_has_one_name() -> None:
    """Nobody asked for `--no-force`."""

    def switches(command: Any, path: str) -> Iterator[str]:
        for name, inner in getattr(command, "commands", {}).items():
            yield from switches(inner, f"{path} {name}")
        yield from (f"{path} {one.secondary_opts}" for one in command.params if one.secondary_opts)

    assert list(switches(typer.main.get_command(cli.app), "curate")) == []
