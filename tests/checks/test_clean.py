"""`curate check --fix`: a clean copy without a leak, whole or not at all, and a source that is never touched."""

import csv
import os
import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from curate.checks import clean as cleaning
from curate.checks import dataset
from curate.checks.clean import copy_clean
from curate.checks.run import check
from curate.engine.serial import Serial
from curate.errors import CurateError
from tests.checks.test_check import QUIET, clean, put, run
from tests.support.calling import Command
from tests.support.pictures import clip, encode, photograph, texture


@pytest.fixture
def curate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    monkeypatch.chdir(tmp_path)
    return Command(tmp_path, monkeypatch, capfd)


def tree(root: Path) -> dict[str, tuple[str, int, int]]:
    """Every file below a folder: what is in it, its times and mode."""
    found = {}
    for path in root.rglob("*"):
        if path.is_file():
            facts = path.stat()
            digest = sha256(path.read_bytes()).hexdigest()
            found[str(path.relative_to(root))] = (digest, facts.st_mtime_ns, facts.st_mode)
    return found


def left_by_nobody(root: Path) -> list[str]:
    return [path.name for path in root.iterdir() if path.name.startswith(".curate-")]


EDITS: dict[str, Callable[[Image.Image], bytes]] = {
    "the same": lambda image: encode(image, "PNG"),
    "half": lambda image: encode(image.resize((80, 60)), "PNG"),
    "larger": lambda image: encode(image.resize((240, 180)), "PNG"),
    "compressed": lambda image: encode(image, "JPEG", quality=35),
    "mirrored": lambda image: encode(ImageOps.mirror(image), "JPEG", quality=90),
    "turned": lambda image: encode(image.transpose(Image.Transpose.ROTATE_90), "PNG"),
    "grey": lambda image: encode(image.convert("L"), "PNG"),
    "in a clip": lambda image: clip("GIF", [texture(700), image]),
}
PLACES = st.tuples(
    st.sampled_from(["train", "val", "test"]), st.sampled_from(["cat", "dog"]), st.sampled_from(sorted(EDITS))
)
KEEPS = st.sampled_from(["test", "train", "largest"])


@pytest.fixture
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.lists(PLACES, min_size=1, max_size=5), min_size=1, max_size=4), KEEPS, st.booleans())
def test_a_clean_copy_has_no_leak(
    place: Path, planted: list[list[tuple[str, str, str]]], keep: str, chained: bool
) -> None:
    """Whatever is planted across three splits; with a chain, whose ends are not near to each other."""
    root, out = place / "in", place / "out"
    for folder in (root, out):
        shutil.rmtree(folder, ignore_errors=True)
    put(root, "train/cat/alone.png", encode(texture(900), "PNG"))
    for n, copies in enumerate(planted):
        for k, (split, label, edit) in enumerate(copies):
            put(root, f"{split}/{label}/{n}-{k}", EDITS[edit](texture(n)))
    for k in range(12 if chained else 0):
        step = Image.blend(texture(800), texture(801), k / 11)
        put(root, f"{('train', 'val', 'test')[k % 3]}/cat/chain{k}.png", encode(step, "PNG"))
    before = tree(root)
    done = check(dataset.read(root, None, [], False), Serial(), QUIET, keep)
    assert done.leak >= chained
    assert copy_clean(out, done, QUIET) == done.facts["clean"]["keep"]
    assert tree(root) == before
    assert {name: one[0] for name, one in tree(out).items()}.items() <= {n: one[0] for n, one in before.items()}.items()
    again = run(out)
    assert not again.leak
    assert (again.facts["duplicates"]["groups"], again.facts["conflicts"]["pictures"]) == (0, 0)
    if not any(label != copies[0][1] for copies in planted for _, label, _ in copies):
        assert len(tree(out)) >= len(planted), "of each picture one stays"


def test_of_a_chain_across_three_splits_no_two_neighbours_stay(tmp_path: Path) -> None:
    """Its ends are not near to each other: both stay where what lies between them goes."""
    for k in range(12):
        step = Image.blend(texture(800), texture(801), k / 11)
        put(tmp_path / "in", f"{('train', 'val', 'test')[k % 3]}/cat/{k:02}.png", encode(step, "PNG"))
    done = run(tmp_path / "in")
    assert done.facts["duplicates"]["largest"] == 12
    near = {(row.path_a, row.path_b) for kind in ("leaks", "duplicates") for row in done.pairs(kind)}
    assert len(near) < 12 * 11 // 2, "a chain"
    copy_clean(tmp_path / "out", done, QUIET)
    kept = sorted(tree(tmp_path / "out"))
    assert 2 <= len(kept) < 12
    assert not any({a, b} <= set(kept) for a, b in near)
    assert not run(tmp_path / "out").leak


def become_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def plain_leak(root: Path) -> Path:
    put(clean(root), "test/cat/again.jpg", (root / "train/cat/0.jpg").read_bytes())
    return root


def test_the_terminal_ends_with_the_next_command_until_nothing_is_left(curate: Command) -> None:
    root = plain_leak(curate.root / "my data")
    put(root, "train/cat/none.jpg", b"")
    before = tree(root)
    said = curate("check", "my data", code=4).out.splitlines()
    assert said[-1].strip() == "curate check 'my data' --out leaks --fix clean"
    assert any(
        line.startswith("clean") and "32 stay, 2 go (--keep test): near-duplicates 1, unreadable 1" in line
        for line in said
    )
    said = curate(*shlex.split(said[-1])[1:], code=4).out.splitlines()
    assert said[-1].strip() == "curate check clean"
    assert any(line == "copied         32 files to clean" for line in said)
    assert any(line.startswith("written") and "leaks.csv 1, " in line and "remove.txt 2" in line for line in said)
    assert "nothing that this command can see" in curate(*shlex.split(said[-1])[1:]).out.splitlines()[-1]
    assert tree(root) == before
    kept = (curate.root / "leaks/keep.txt").read_text().split("\n")[:-1]
    assert sorted(kept) == sorted(tree(curate.root / "clean"))
    said = curate("check", "my data", "--keep", "train", "--splits", "train,test", code=4).out.splitlines()
    want = "curate check 'my data' --splits=train,test --keep train --out leaks-2 --fix clean-2"
    assert said[-1].strip() == want
    put(root, "val/cat/copy.jpg", (root / "train/cat/1.jpg").read_bytes())
    args = ("check", "my data", "--keep", "train", "--splits", "train,val,test", "--fix", "whole")
    said = curate(*args, code=4).out.splitlines()
    assert said[-1].strip() == "curate check whole --splits=train,test", "nothing of val stays"
    curate(*shlex.split(said[-1])[1:])


def test_the_next_command_is_one_wherever_it_is_asked_and_whatever_things_are_called(
    curate: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = plain_leak(curate.root / "-a\n'b")
    said = curate("check", str(root), code=4).out.splitlines()[-1].strip()
    assert said.isprintable()
    assert said.endswith("-a\\x0a\\x27b' --out leaks --fix clean")
    monkeypatch.chdir(root)
    said = curate("check", ".", code=4).out.splitlines()[-1].strip()
    assert said == f"curate check . --out {curate.root}/leaks --fix {curate.root}/clean"
    monkeypatch.chdir(curate.root)
    (curate.root / "-a\n'b").rename(curate.root / "-d")
    assert curate("check", "./-d", "--out", "o", code=4).out.splitlines()[-1].strip() == "curate check ./-d --fix clean"


@pytest.mark.parametrize("option", ["--out", "--fix"])
def test_what_is_there_or_inside_the_source_is_refused_before_anything_is_read(curate: Command, option: str) -> None:
    root = plain_leak(curate.root / "d")
    (curate.root / "full").mkdir()
    (curate.root / "full/mine.txt").write_text("mine")
    (curate.root / "file").write_text("mine")
    (curate.root / "link").symlink_to(root)
    (curate.root / "dangling").symlink_to(root / "new")
    (curate.root / "empty").mkdir()
    before = tree(curate.root)
    for name, says in (
        ("full", "something is there"), ("file", "something is there"), ("d", "inside d"), ("d/new", "inside d"),
        ("link/new", "inside d"), ("dangling", "inside d"), (".", "something is there"), ("no/new", "no folder can be"),
    ):  # fmt: skip
        said = curate("check", "d", option, name, code=2)
        assert says in said.err
        assert "look:" not in said.err
    assert tree(curate.root) == before
    curate("check", "d", option, "empty", code=4)
    assert list((curate.root / "empty").iterdir())


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--keep", "newest"), "keep newest: one of test, train, largest"),
        (("--null",), "--null: says how --out writes"),
        (("--out", "a", "--fix", "a"), "inside"), (("--out", "a/b", "--fix", "a"), "no folder can be made"),
        (("--out", "a", "--fix", "./a"), "inside"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_one_line(curate: Command, args: tuple[str, ...], says: str) -> None:
    plain_leak(curate.root / "d")
    assert says in curate("check", "d", *args, code=2).err
    assert sorted(path.name for path in curate.root.iterdir()) == ["d"]


def test_a_copy_that_fails_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, out = plain_leak(tmp_path / "d"), tmp_path / "out"
    done = run(root)
    known = cleaning._copy
    copied: list[object] = []

    def failing(*args: str | Path) -> None:
        if len(copied) == 20:
            raise OSError(5, "Input/output error")
        copied.append(args)
        known(*args)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(cleaning, "_copy", failing)
        with pytest.raises(CurateError, match="out: cannot be made"):
            copy_clean(out, done, QUIET)
    assert len(copied) == 20
    for name, act in (
        ("train/cat/1.jpg", lambda path: path.write_bytes(b"other")), ("train/cat/2.jpg", lambda path: path.unlink()),
        ("train/cat/3.jpg", become_a_pipe),
    ):  # fmt: skip
        data = (root / name).read_bytes()
        act(root / name)
        with pytest.raises(CurateError, match=f"{name}: .*so nothing was made"):
            copy_clean(out, done, QUIET)
        (root / name).unlink(missing_ok=True)
        (root / name).write_bytes(data)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d"]
    copy_clean(out, done, QUIET)
    assert not run(out).leak
    (tmp_path / "late").mkdir()
    (tmp_path / "late/mine.txt").write_text("mine")
    with pytest.raises(CurateError, match="late: cannot be made"):
        copy_clean(tmp_path / "late", done, QUIET)
    assert (tmp_path / "late/mine.txt").read_text() == "mine"
    assert not left_by_nobody(tmp_path)


def test_where_nothing_stays_nothing_is_made(curate: Command) -> None:
    for label in ("cat", "dog"):
        put(curate.root / "d", f"train/{label}/a.png", encode(texture(1), "PNG"))
    assert "no picture stays" in curate("check", "d", "--fix", "clean", code=1).err
    assert sorted(path.name for path in curate.root.iterdir()) == ["d"]


# -- lists -----------------------------------------------------------------------------------------------------------


def listing(root: Path, rows: list[str], header: str = "path,label,split,url,license") -> None:
    (root / "mine.csv").write_text("\n".join([header, *rows]))


def test_a_list_is_copied_with_its_clean_rows(curate: Command) -> None:
    """One file in two splits, and two copies: the rows say what stays, not the files alone."""
    root = curate.root / "pool"
    for n in range(6):
        put(root, f"all/{n}.png", encode(texture(n), "PNG"))
    put(root, "all/copy.jpg", encode(texture(0), "JPEG", quality=60))
    put(root, "all/torn.jpg", encode(texture(1), "JPEG", quality=60))
    put(root, "all/unlisted.png", encode(texture(7), "PNG"))
    rows = [f"all/{n}.png,cat,train,https://a.example/{n},CC0" for n in range(6)]
    listing(curate.root, [*rows, "all/2.png,cat,test,,", "all/copy.jpg,cat,test,,", "all/torn.jpg,dog,train,,"])
    found = curate("check", "pool", "--list", "mine.csv", "--out", "out", "--fix", "clean", "--json", code=4).json
    assert found["next_command"] == "curate check clean --list clean/files.csv"
    with (curate.root / "clean/files.csv").open(newline="") as file:
        made = list(csv.DictReader(file))
    assert [(row["path"], row["split"], row["license"]) for row in made] == [
        ("all/2.png", "test", ""), ("all/3.png", "train", "CC0"), ("all/4.png", "train", "CC0"),
        ("all/5.png", "train", "CC0"), ("all/copy.jpg", "test", ""),
    ]  # fmt: skip
    assert made[1]["url"] == "https://a.example/3"
    assert sorted(tree(curate.root / "clean")) == sorted([row["path"] for row in made] + ["files.csv"])
    assert (curate.root / "out/remove.txt").read_text().split() == ["all/0.png", "all/1.png", "all/torn.jpg"]
    assert (curate.root / "out/files.csv").read_bytes() == (curate.root / "clean/files.csv").read_bytes()
    again = curate(*shlex.split(found["next_command"])[1:], "--json").json
    assert (again["leak"], again["verdicts"]["leak"]["verdict"], again["duplicates"]["groups"]) == (False, "none", 0)


def test_a_list_of_files_elsewhere_is_not_copied(curate: Command) -> None:
    put(curate.root, "pool/a.png", encode(texture(1), "PNG"))
    put(curate.root, "b.png", encode(texture(1), "PNG"))
    listing(curate.root, ["a.png,cat,train", "../b.png,cat,test"], "path,label,split")
    args = ("check", "pool", "--list", "mine.csv", "--outside")
    assert "1 lie outside pool, such as ../b.png" in curate(*args, "--fix", "clean", code=2).err
    said = curate(*args, code=4).out.splitlines()[-1].strip()
    assert said == "curate check pool --list mine.csv --outside --out leaks"
    assert curate(*args, "--out", "leaks", code=4).out.splitlines()[-1].strip() != said
    assert (curate.root / "leaks/keep.txt").read_text() == f"{curate.root}/b.png\n"


def test_a_picture_that_is_called_as_the_clean_list_is_refused(curate: Command) -> None:
    put(curate.root, "pool/files.csv", encode(texture(1), "PNG"))
    listing(curate.root, ["files.csv,cat,train"], "path,label,split")
    assert "rename it" in curate("check", "pool", "--list", "mine.csv", "--fix", "clean", code=2).err
    assert not (curate.root / "clean").exists()


def test_links_that_are_followed_become_files(curate: Command) -> None:
    put(curate.root, "pool/a.png", encode(texture(1), "PNG"))
    put(curate.root, "d/test/cat/b.png", encode(texture(2), "PNG"))
    (curate.root / "d/train").mkdir()
    (curate.root / "d/train/cat").symlink_to(curate.root / "pool")
    curate("check", "d", "--outside", "--fix", "clean")
    assert sorted(tree(curate.root / "clean")) == ["test/cat/b.png", "train/cat/a.png"]
    assert not any(path.is_symlink() for path in (curate.root / "clean").rglob("*"))


def test_a_photograph_that_is_planted_in_three_splits_is_left_once(tmp_path: Path) -> None:
    """Real pictures, too."""
    root = clean(tmp_path / "d")
    for split, side in (("train", 400), ("val", 300), ("test", 200)):
        put(root, f"{split}/cat/photo.jpg", encode(photograph().resize((side, side)), "JPEG", quality=side // 5))
    copy_clean(tmp_path / "out", run(root), QUIET)
    assert [name for name in tree(tmp_path / "out") if "photo" in name] == ["test/cat/photo.jpg"]
