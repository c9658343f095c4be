"""What somebody reads who knows nothing of the inside: figures that agree from verb to verb, words that are true, and
what comes next."""

import hashlib
from pathlib import Path

import pytest

from curate.commands.context import _lines
from curate.dedupe.explain import explain, lines
from curate.engine.serial import Serial
from curate.features import hashes
from curate.progress import Progress
from curate.removal.rescan import rescan
from curate.stats.coverage import over, rest
from tests.removal.test_rescan import gate
from tests.support.builders import add, workspace
from tests.support.calling import Command
from tests.support.pictures import encode, texture
from tests.support.releases import QUIET

CONFIG = """
[engine]
use = "serial"
[screening]
required = {required}
[fetch]
contact = "test@example.org"
{fetch}
[[sources]]
use = "{use}"
path = "{path}"
label = "neutral"
[[labelers]]
use = "declared"
"""


@pytest.fixture
def curate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    (tmp_path / "images").mkdir()
    for side in (40, 64, 300):
        (tmp_path / "images" / f"{side}.png").write_bytes(encode(texture(side, (side, side)), "PNG"))
    write(tmp_path)
    return Command(tmp_path, monkeypatch, capfd)


def write(root: Path, fetch: str = "", use: str = "local", path: str = "images", required: str = "false") -> None:
    said = CONFIG.format(fetch=fetch, use=use, path=path, required=required)
    (root / "curate.toml").write_text(said)


def test_a_plan_counts_what_a_changed_setting_asks_again(curate: Command) -> None:
    write(curate.root, "max_pixels = 2_000")
    assert curate("fetch", "--json").json["reasons"] == {"too_many_pixels": 2}
    assert curate("fetch", "--plan", "--json").json["items"] == 0
    write(curate.root, "max_pixels = 1_000_000")
    planned = curate("fetch", "--plan", "--json").json
    assert (planned["items"], planned["sources"][0]["items"]) == (2, 2)
    assert curate("fetch", "--json").json["asked"] == 2
    assert curate("fetch", "--plan", "--json").json["items"] == 0


def test_a_line_that_is_no_url_is_no_host_to_ask(curate: Command) -> None:
    (curate.root / "urls.txt").write_text("http://a.example/1.jpg\nnot a url\nhttp://b.example/2.jpg\n")
    write(curate.root, use="urllist", path="urls.txt")
    planned = curate("fetch", "--plan", "--json").json
    assert (planned["items"], planned["hosts"], planned["sources"][0]["items"]) == (2, 2, 2)
    assert {one["host"] for one in planned["slowest"]} == {"a.example", "b.example"}


def test_what_is_held_back_is_one_figure_in_every_verb(curate: Command) -> None:
    curate("fetch")
    first = curate("quarantine", str(curate.root / "images" / "40.png"), "--reason", "who knows", "--json").json
    assert first["held_samples"] == 1
    assert "screening release 1 --reason" in first["next"]
    held = {verb: curate(verb, "--json").json["held"] for verb in ("dedupe", "label", "status")}
    assert held == {"dedupe": 1, "label": 1, "status": 1}
    incident = curate("screening", "incident", "1", "--json").json
    assert (incident["held_samples"], incident["next"]) == (1, first["next"])
    assert curate("screening", "release", "1", "--reason", "harmless", "--json").json["samples"] == 1
    incident = curate("screening", "incident", "1", "--json").json
    assert (incident["held_samples"], incident["next"]) == (0, None)
    assert curate("dedupe", "--json").json["held"] == 0


def test_a_match_says_how_many_samples_came_with_it_and_at_once_what_is_next(curate: Command) -> None:
    curate("fetch")
    listed = hashlib.sha256((curate.root / "images" / "64.png").read_bytes()).hexdigest()
    (curate.root / "list.txt").write_text(f"{listed}\n")
    with (curate.root / "curate.toml").open("a") as file:
        file.write('[[screening.lists]]\nuse = "lines"\npath = "list.txt"\n')
    said = curate("screening", "rescan", code=5)
    assert "acknowledge 1 --by NAME" in said.err
    assert said.err.count("acknowledge 1") == 1
    assert curate("screening", "rescan", code=5).err.count("acknowledge 1") == 1
    assert curate("screening", "incident", "1", "--json").json["next"].startswith("follow the procedure")


def test_a_rescan_counts_no_sample_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ws = workspace(tmp_path / "ws")
    for n in range(3):
        add(ws, encode(texture(n)), "neutral")
    every, steps = hashes.all_pdq, list[int]()
    monkeypatch.setattr(hashes, "all_pdq", lambda ws: iter([*every(ws), *every(ws)]))

    class Counting(Progress):
        def stage(self, name, total=None):  # type: ignore[no-untyped-def]
            return _Step(steps if name == "rescan" else [])

    assert rescan(ws, gate(tmp_path, "0" * 40), Serial(), Counting(quiet=True))["samples"] == 3
    assert sum(steps) == 3
    ws.close()


class _Step:
    def __init__(self, steps: list[int]) -> None:
        self._steps = steps

    def __enter__(self) -> "_Step":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __call__(self, count: int = 1) -> None:
        self._steps.append(count)


def test_a_list_that_is_wanted_and_missing_is_not_screening_that_is_off(curate: Command) -> None:
    write(curate.root, required="true")
    said = curate("screening", "status", code=4).err
    assert "SCREENING IS OFF" not in said
    assert "cannot answer: required, and no list is loaded; nothing is fetched" in said
    write(curate.root)
    assert "SCREENING IS OFF" in curate("screening", "status").err


def test_a_former_source_that_left_nothing_is_not_spoken_of(curate: Command) -> None:
    curate("fetch")
    text = (curate.root / "curate.toml").read_text()
    (curate.root / "curate.toml").write_text(text.replace('label = "neutral"', 'label = "drawings"'))
    assert "does not name any more" not in curate("fetch").err


def test_a_run_says_what_is_stored_and_not_that_the_rest_was_not_looked_at() -> None:
    fetched = {"coverage": {"said": "2 of 3 candidates; 1 are not stored", "verb": "stored"}, "stored": 2, "failed": 1}
    assert rest({"fetch": fetched})["fetch"] == {"stored": "2 of 3 candidates; 1 are not stored", "failed": 1}
    assert rest({"dedupe": over(3, 0) | {"samples": 3}})["dedupe"] == {"looked at": "3 of 3 samples", "samples": 3}


def test_values_are_words_and_no_programmers_notation() -> None:
    found = {
        "healthy": True, "receipt": None, "void": [], "problems": ["one", "two"], "withheld": {},
        "interval": (0.25, 1.0),
        "fetch": {"reasons": {"http_404": 2}}, "functions": [{"name": "a", "accuracy": None, "hashes": {"pdq": 2}}],
    }  # fmt: skip
    said = [" ".join(line.split()) for line in _lines(found)]
    assert said == [
        "healthy yes", "receipt -", "void none", "problems one, two", "withheld none", "interval 0.25, 1",
        "fetch:", "reasons:", "http_404 2", "functions:", "name=a accuracy=- hashes=pdq 2",
    ]  # fmt: skip


def test_a_sample_that_is_alone_is_said_to_be(tmp_path: Path) -> None:
    from curate.dedupe.run import dedupe

    ws = workspace(tmp_path / "ws")
    alone = add(ws, encode(texture(1)), "neutral")
    dedupe(ws, Serial(), QUIET)
    said = list(lines(explain(ws, alone)))
    assert ", 1 sample, split" in said[1]
    assert said[2] == "collapse   nothing else shows the same picture"
    ws.close()


def test_what_was_taken_down_before_is_not_said_to_go_again(curate: Command) -> None:
    curate("fetch")
    name = str(curate.root / "images" / "40.png")
    first = curate("takedown", name, "--reason", "asked")
    assert "before" not in first.err
    again = curate("takedown", name)
    assert "taken down before, and nothing more was removed" in again.err


def test_the_log_says_how_a_run_ended(curate: Command) -> None:
    curate("export", "1.0.0", code=2)
    curate("fetch")
    log = curate("log", "--json").json["log"]
    assert [(row["action"], row["ended"]) for row in log if "ended" in row] == [("export", "failed"), ("fetch", "done")]


def test_what_is_next_is_named(curate: Command) -> None:
    assert "No such command 'frobnicate'; `--help`" in curate("frobnicate", code=2).err
    assert "`curate export 1.0.0` makes one" in curate("share", "1.0.0", "--to", "Ada", code=2).err
    for verb in ("fetch", "dedupe", "label"):
        curate(verb)
    drawn = curate("queue", "audit", "--size", "2")
    assert "`curate review audit --reviewer NAME`" in drawn.err
    assert "--again" not in drawn.err
    assert "`--again` draws another one" in curate("queue", "audit", "--size", "3").err


def test_a_new_workspace_says_what_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert "`curate fetch`" in Command(tmp_path / "new", monkeypatch, capfd)("init", "--json").json["next"]


def test_rows_of_an_import_that_name_nothing_here_are_said(curate: Command) -> None:
    curate("fetch")
    row, good = "label,annotator,time\n{},neutral,ann,2026-01-01T00:00:00Z\n", curate.root / "good.csv"
    good.write_text("path," + row.format(curate.root / "images" / "40.png"))
    assert "name no sample" not in curate("decisions", "import", str(good)).err
    good.write_text("sha256," + row.format("0" * 64))
    assert "1 of 1 rows name no sample that is here" in curate("decisions", "import", str(good), code=3).err


def test_quiet_leaves_what_was_asked_for(curate: Command) -> None:
    """What a verb did is left to its exit code; what one that only reads answers is all that there is of it."""
    for verb in ("fetch", "dedupe", "label"):
        assert (curate(verb, "-q").out, curate(verb, "-q").err) == ("", "")
    assert curate("export", "1.0.0", "-q").out == ""
    asking = (
        ["status"], ["log"], ["functions"], ["verify"], ["dedupe", "--explain", "images/40.png"], ["fetch", "--plan"],
        ["sources", "inspect", str(curate.root / "curate.toml")], ["screening", "status"], ["screening", "incident"],
        ["diff", "1.0.0", "1.0.0"], ["review", "--stats"],
    )  # fmt: skip
    for words in asking:
        quiet, said = curate(*words, "-q"), curate(*words)
        assert quiet.out, words
        assert words == ["log"] or quiet.out == said.out
    assert curate("decisions", "export", str(curate.root / "out.csv"), "-q").out == ""
    assert "what only asks answers" in " ".join(curate("status", "--help").out.split())


def test_a_plan_says_which_setting_lets_in_what_it_refuses(curate: Command) -> None:
    (curate.root / "urls.txt").write_text("http://example.org:8443/a.jpg\n")
    write(curate.root, use="urllist", path="urls.txt")
    assert "[fetch] allow_ports or [fetch] allow_private" in curate("fetch", "--plan").out


def test_an_import_says_that_estimate_does_not_count_it(curate: Command) -> None:
    curate("fetch")
    path, file = curate.root / "images" / "40.png", curate.root / "good.csv"
    file.write_text(f"path,label,annotator,time\n{path},neutral,ann,2026-01-01T00:00:00Z\n")
    assert "`curate estimate` rests on what `curate queue audit` drew" in curate("decisions", "import", str(file)).err
