"""No verdict over nothing: what each verb could look at is said, and where that is too little it ends with 3."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from curate.config import load
from curate.stats.coverage import Coverage, headline, incomplete, over, rest
from curate.store.workspace import Workspace
from tests.support.calling import Command
from tests.support.folders import config, put
from tests.support.pictures import encode, photograph

CONFIG = config("drawing")
N = 40


@given(st.integers(0, 500), st.data())
def test_more_than_one_in_twenty_is_too_much(of: int, data: st.DataObject) -> None:
    unread = data.draw(st.integers(0, of))
    facts = over(of, unread)
    assert bool(facts["incomplete"]) == (unread > 0.05 * of)
    assert facts["coverage"]["looked_at"] == of - unread
    assert ("could not be read" in facts["coverage"]["said"]) == (unread > 0)


@pytest.mark.parametrize(("of", "unread", "short"), [(100, 5, False), (100, 6, True), (20, 1, False), (19, 1, True),
                                                      (1, 1, True), (0, 0, False)])  # fmt: skip
def test_the_edge(of: int, unread: int, short: bool) -> None:
    assert (Coverage(of - unread, of).short is not None) == short


def test_what_a_verb_of_several_says_names_the_verb() -> None:
    result = {"fetch": over(10, 0) | {"stored": 10}, "dedupe": over(10, 3) | {"samples": 10}}
    assert incomplete(result) == ["dedupe: 3 of 10 samples could not be read"]
    assert [line.split()[0] for line in headline(result)] == ["INCOMPLETE"]
    assert rest(result)["fetch"] == {"looked at": "10 of 10 samples", "stored": 10}


# -- stored samples that cannot be read ------------------------------------------------------------------------------


def drawn(seed: int) -> Image.Image:
    """Flat colours on white, as a drawing has them."""
    rng = np.random.default_rng(seed)
    found = Image.new("RGB", (120, 120), "white")
    for _ in range(5):
        x, y, side = (int(one) for one in rng.integers(10, 70, 3))
        shown = ImageDraw.Draw(found)
        shown.ellipse((x, y, x + side, y + side), fill=tuple(int(one) for one in rng.integers(0, 256, 3)))
    return found


def pictures(root: Path) -> None:
    photo = photograph()
    for n in range(N // 2):
        x, y = 64 * (n % 6), 64 * (n // 6)
        for label, image in (("neutral", photo.crop((x, y, x + 64, y + 64))), ("drawings", drawn(n))):
            put(root, f"{label}/{n}.png", encode(image, "PNG"))


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace after `fetch`; nothing is hashed by PDQ, or scored."""
    root = tmp_path_factory.mktemp("fetched")
    (root / "curate.toml").write_text(CONFIG)
    pictures(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["curate", "fetch", "-q", "-w", str(root)])
        with pytest.raises(SystemExit) as end:
            __import__("cli").main()
    assert not end.value.code
    return root


@pytest.fixture
def curate(
    fetched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    """The command on a copy of that workspace."""
    shutil.copytree(fetched, tmp_path / "w")
    (tmp_path / "w" / "curate.toml").write_text(CONFIG.replace('"images"', f'"{fetched / "images"}"'))
    return Command(tmp_path / "w", monkeypatch, capfd)


def damage(root: Path, n: int, ids: list[str] | None = None) -> list[str]:
    """Ruin the bytes of the first n samples: cut off, replaced, zeros, in turn; ids of what was ruined."""
    blobs = sorted(path for path in (root / "work" / "blobs").glob("??/*") if ids is None or path.name in ids)
    for k, path in enumerate(blobs[:n]):
        size = path.stat().st_size  # as many bytes as there were, or they would be lost
        path.write_bytes((path.read_bytes()[:200], b"no picture at all", b"")[k % 3].ljust(size, b"\0"))
    return [path.name for path in blobs[:n]]


@pytest.mark.parametrize(("bad", "code"), [(2, 0), (3, 3)])
def test_dedupe_label_and_export_say_what_they_could_not_read(curate: Command, bad: int, code: int) -> None:
    damage(curate.root, bad)
    lost = f"; {bad} could not be read" if bad else ""
    for verb, key in (("dedupe", "samples"), ("label", "samples"), ("export", "version")):
        said = curate(verb, *(["1.0.0"] if verb == "export" else []), code=code)
        first, *others = said.out.splitlines()
        assert first.split(maxsplit=2) == ["looked", "at", f"{N - bad} of {N} samples{lost}"]
        assert others[0].startswith("INCOMPLETE") == (code == 3)
        assert any(line.startswith(key) for line in others), "the answer itself is printed all the same"
        again = curate(verb, *(["1.0.1"] if verb == "export" else []), "--json", code=code)  # said the second time, too
        assert (again.json["coverage"]["looked_at"], bool(again.json["incomplete"])) == (N - bad, code == 3)
        assert ("not everything was looked at" in again.err) == (code == 3)
    header = (curate.root / "work" / "releases" / "1.0.0" / "release.json").read_text()
    assert ("could not be read" in header) == (bad > 0), "and the release says it"
    report = curate("report", "--json").json["path"]
    assert ("INCOMPLETE" in Path(report).read_text()) == (code == 3)


def test_what_can_be_read_again_is_looked_at_again(curate: Command) -> None:
    """A verdict of "could not be read" is not for ever: with the bytes back, the same verb ends with 0."""
    backup = {path: path.read_bytes() for path in (curate.root / "work" / "blobs").glob("??/*")}
    damage(curate.root, 6)
    assert curate("label", "--json", code=3).json["unscored"] == 6
    assert curate("dedupe", "--json", code=3).json["unhashed"] == 6
    for path, data in backup.items():
        path.write_bytes(data)
    assert curate("label", "--json").json["unscored"] == 0
    assert curate("dedupe", "--json").json["unhashed"] == 0
    assert curate("verify", "--json").json["coverage"]["share"] == 1.0


def test_run_goes_on_after_3_and_ends_with_it(curate: Command) -> None:
    damage(curate.root, 4)
    said = curate("run", "1.0.0", "--json", code=3)
    assert sum(said.json["export"]["rows"].values()) > 0
    assert [bool(said.json[verb]["incomplete"]) for verb in ("fetch", "dedupe", "label", "export")] == [
        False, True, True, True,
    ]  # fmt: skip
    assert "dedupe: 4 of 40 samples could not be read; label: " in said.err
    assert curate("run", "1.0.0", "-q", code=3).out == ""


FAILS = """
from snorkel.labeling import labeling_function
@labeling_function()
def fails(x):
    if int(x.id, 16) % 2:
        raise OSError("its model is gone")
    return -1
"""


def test_a_release_says_that_a_labelling_function_could_not_be_asked(curate: Command) -> None:
    """What it failed on it might have flagged as not safe: nothing of that is in the release, but for people's word."""
    toml = curate.root / "curate.toml"
    (curate.root / "mine.py").write_text(FAILS)
    before = toml.read_text()
    toml.write_text(f'{before}[label]\nfunctions = ["mine.py"]\n')
    curate("dedupe", "-q")
    curate("label", "-q", code=3)
    said = curate("export", "1.0.0", "--json", code=3).json
    assert "fails" in said["incomplete"]
    release = curate.root / "work" / "releases" / "1.0.0"
    ids = [one for split in release.glob("*.parquet") if "id" in (rows := pq.read_table(split)).column_names
           for one in rows.column("id").to_pylist()]  # fmt: skip
    assert ids
    assert not [one for one in ids if int(one, 16) % 2]
    assert said["excluded"]["contradicted"] > 0
    header = json.loads((curate.root / "work" / "releases" / "1.0.0" / "release.json").read_text())
    assert "its model is gone" in header["incomplete"]
    toml.write_text(before)
    curate("label", "-q")
    assert curate("export", "1.1.0", "--json").json["incomplete"] is None
    assert "incomplete" not in json.loads((curate.root / "work" / "releases" / "1.1.0" / "release.json").read_text())


NOISY = """
from snorkel.labeling import labeling_function
print("hello")
@labeling_function()
def noisy(x):
    print(x.id)
    return -1
"""


def test_what_a_labelling_function_prints_is_no_part_of_the_json(curate: Command) -> None:
    (curate.root / "mine.py").write_text(NOISY)
    toml = curate.root / "curate.toml"
    toml.write_text(f'{toml.read_text()}[label]\nfunctions = ["mine.py"]\n')
    said = curate("label", "--json")
    assert said.json["samples"] == N
    assert "hello" in said.err


SOME = """
from snorkel.labeling import labeling_function
@labeling_function()
def some(x):
    return -1 if x.id[0] in "01234" else 2 if x.width == 64 else 0
"""


def test_abstentions_exclusions_and_dead_links_are_no_failures(curate: Command) -> None:
    text = (curate.root / "curate.toml").read_text().replace('[[labelers]]\nuse = "declared"\n', "")
    (curate.root / "curate.toml").write_text(text + '[label]\nfunctions = ["f.py"]\n')
    (curate.root / "f.py").write_text(SOME)
    ws = Workspace(curate.root, load(curate.root))
    with ws.catalog.tx() as db:
        db.executemany(
            "INSERT INTO candidates (kind, locator, state, reason, fetched_at)"
            " VALUES ('url', ?, 'failed', 'http_404', '2026')",
            [(f"https://example.org/{n}",) for n in range(400)],
        )
        db.execute(
            "INSERT INTO withheld (sample, reason, detail, at) SELECT id, 'placeholder', '', '' FROM samples LIMIT 12"
        )
    ws.close()
    assert curate("fetch", "--json").json["failed"] == 400
    curate("dedupe")
    label = curate("label", "--json").json
    assert (label["coverage"]["of"], label["coverage"]["share"]) == (28, 1.0)
    curate("export", "1.0.0")


def test_train_says_which_rows_have_no_features(curate: Command) -> None:
    bad = 5
    curate("run", "1.0.0", "-q")
    ws = Workspace(curate.root, load(curate.root))
    released = [row[0] for row in ws.catalog.all("SELECT sample FROM released WHERE split = 'train'")]
    total = ws.catalog.scalar("SELECT count(*) FROM released")
    ws.close()
    damage(curate.root, bad, released)
    said = curate("train", "1.0.0", "--json", code=3).json
    assert (said["coverage"]["looked_at"], said["coverage"]["of"]) == (total - bad, total)
    assert (curate.root / "work" / "models" / "1.0.0" / "metrics.json").is_file()
    assert curate("train", "1.0.0", "--json", code=3).json["skipped"]["train"] == bad
    damage(curate.root, len(released), released)
    shutil.rmtree(curate.root / "work" / "tables")
    assert "fewer than two classes are left" in curate("train", "1.0.0", code=1).err


def test_verify_tells_what_is_wrong_from_what_nobody_knows(curate: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that gives nothing is no proof of damage: 3, not 1; and what is proven goes first."""
    blobs = sorted((curate.root / "work" / "blobs").glob("??/*"))
    refused = set(blobs[:3])
    opened = Path.open

    def failing(self: Path, *args: object, **options: object) -> object:
        if self in refused:
            raise OSError(5, "Input/output error")
        return opened(self, *args, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", failing)
    said = curate("verify", "--json", code=3).json
    assert (said["unread"], said["corrupt"], said["coverage"]["looked_at"]) == (3, 0, N - 3)
    refused.pop()
    refused.pop()
    assert curate("verify", "--json", code=1).json["unread"] == 1
    blobs[-1].write_bytes(b"other".ljust(blobs[-1].stat().st_size, b"\0"))
    assert curate("verify", "--json", code=1).json["corrupt"] == 1


def test_embeddings_that_are_missing_are_missed(curate: Command) -> None:
    curate("dedupe", "-q")
    text = (curate.root / "curate.toml").read_text() + '[dedupe]\nembeddings = "efficientnet_lite0"\n'
    (curate.root / "curate.toml").write_text(text)
    damage(curate.root, 4)
    said = curate("dedupe", "--json", code=3).json
    assert (said["unhashed"], said["coverage"]["looked_at"]) == (0, N - 4)
