"""`curate check`: what somebody's dataset shares across splits, contradicts, cannot read, and gives away."""

import base64
import io
import itertools
import json
import os
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from curate.checks import dataset
from curate.checks.dataset import DatasetRow
from curate.checks.duplicates import Pictures, alike
from curate.checks.page import write_page
from curate.checks.run import Checked, check
from curate.checks.scan import Seen
from curate.checks.terminal import lines
from curate.engine.serial import Serial
from curate.errors import UsageError
from curate.progress import Progress
from tests.support.calling_here import command
from tests.support.pictures import clip, encode, photograph, texture

QUIET = Progress(quiet=True)
SHIPPED = ("astronaut.png", "coffee.png", "chelsea.png", "camera.png")


def put(root: Path, name: str, data: bytes) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def run(root: Path | None, table: Path | None = None, splits: tuple[str, ...] = (), outside: bool = False) -> Checked:
    return check(dataset.read(root, table, splits, outside), Serial(), QUIET)


def clean(root: Path) -> Path:
    """Twelve textures a class in train, four in test; none like another."""
    for n in range(32):
        split, label = ("test", "train")[n % 16 < 12], ("cat", "dog")[n // 16]
        put(root, f"{split}/{label}/{n}.jpg", encode(texture(n), "JPEG", quality=85))
    return root


def said(done: Checked) -> str:
    return "\n".join(lines(done.facts))


def test_a_clean_dataset_has_nothing_to_say(tmp_path: Path) -> None:
    done = run(clean(tmp_path))
    assert not done.leak
    assert done.facts["splits"] == {"train": {"cat": 12, "dog": 12}, "test": {"cat": 4, "dog": 4}}
    assert done.facts["conflicts"]["pictures"] == done.facts["duplicates"]["groups"] == 0
    assert "nothing that this command can see" in said(done)


@pytest.mark.parametrize("shipped", SHIPPED)
def test_a_copy_in_another_split_is_a_leak(tmp_path: Path, shipped: str) -> None:
    photo = photograph(shipped)
    put(clean(tmp_path), "train/cat/photo.png", encode(photo.resize((400, 360)), "PNG"))
    put(tmp_path, "test/cat/copy.jpg", encode(photo.resize((200, 180)), "JPEG", quality=40))
    done = run(tmp_path)
    (leak,) = done.facts["leaks"]
    assert (leak["split"], leak["in"], leak["pictures"], leak["of"], leak["groups"]) == ("test", "train", 1, 9, 1)
    assert (leak["examples"][0]["a"], leak["examples"][0]["b"]) == ("train/cat/photo.png", "test/cat/copy.jpg")
    assert "1 of 9 readable in test (11.1%)" in said(done)


def test_equal_bytes_leak_even_where_there_is_nothing_to_hash(tmp_path: Path) -> None:
    flat = encode(Image.new("RGB", (40, 40), "navy"), "PNG")
    put(clean(tmp_path), "train/cat/flat.png", flat)
    put(tmp_path, "test/dog/flat.png", flat)
    put(tmp_path, "test/dog/other.png", encode(Image.new("RGB", (40, 40), "gold"), "PNG"))
    done = run(tmp_path)
    assert done.facts["leaks"][0]["pictures"] == 1
    assert done.facts["leaks"][0]["examples"][0]["how"] == "same bytes"
    assert done.facts["conflicts"]["same_bytes"] == done.facts["conflicts"]["pictures"] == 2


def test_counts_are_those_of_brute_force(tmp_path: Path) -> None:
    """Sixteen pictures in three sizes each, splits and labels by lot; the counts by comparing all rows with all."""
    rng, places = np.random.default_rng(1), []
    for n in range(48):
        picture, of = texture(n // 3).resize((100 + n, 90 + n)), n // 3
        split, label = str(rng.choice(["train", "val", "test"])), str(rng.choice(["a", "b"]))
        data = encode(picture, "JPEG", quality=int(rng.integers(40, 95))) if n % 3 else encode(picture, "PNG")
        for copy in range(1 + int(n % 7 == 0)):
            put(tmp_path, f"{split}/{label}/{n}-{copy}.jpg", data)
            places.append((split, label, of))
    done = run(tmp_path)
    leaks = {(one["split"], one["in"]): one["pictures"] for one in done.facts["leaks"]}
    for split, other in (("test", "train"), ("val", "train"), ("test", "val")):
        theirs = {of for there, _, of in places if there == other}
        assert leaks.get((split, other), 0) == sum(here == split and of in theirs for here, _, of in places)
    assert 0 < leaks["test", "train"] < sum(here == "test" for here, _, _ in places)
    torn = sum(any(o[1] != label and o[2] == of for o in places) for _, label, of in places)
    assert done.facts["conflicts"]["pictures"] == torn
    crowd = Counter((split, of) for split, _, of in places)
    within = {
        split: sum(n for (s, _), n in crowd.items() if s == split and n > 1) for split in ("train", "val", "test")
    }
    assert done.facts["duplicates"]["within"] == within
    assert done.facts["duplicates"]["groups"] == 16


def test_a_list_says_path_label_split_host_and_licence(tmp_path: Path) -> None:
    rows = ["Path,label,split,url,license"]
    for n in range(60):
        put(tmp_path, f"all/{n}.png", encode(texture(n), "PNG"))
        site = "a" if n % 2 else "b"
        rows.append(
            f"all/{n}.png,{n % 2},{'test' if n > 49 else 'train'},https://{site}.example/{n},{'CC0' if n else ''}"
        )
    (tmp_path / "list.csv").write_text("\n".join(rows))
    done = run(None, tmp_path / "list.csv")
    found = {one["by"]: one for one in done.facts["shortcuts"]}
    assert found["host"]["found"]
    assert found["host"]["auc"] == 1.0
    assert found["host"]["chance"] < 0.8
    assert not found["size"]["found"]
    assert found["folder"]["auc"] is None
    assert done.facts["licences"] == {"missing": 1, "of": 60}
    assert done.facts["splits"] == {"train": {"0": 25, "1": 25}, "test": {"0": 5, "1": 5}}


def test_parquet_says_the_same_as_csv(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = []
    for n in range(4):
        put(tmp_path, f"{n}.png", encode(texture(n), "PNG"))
        rows.append({"path": f"{n}.png", "label": n % 2, "split": "train" if n else None})
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "list.parquet")
    (tmp_path / "list.csv").write_text(
        "path;label;split\n" + "".join(f"{n}.png;{n % 2};{'train' if n else ''}\n" for n in range(4))
    )
    one, other = run(None, tmp_path / "list.parquet"), run(None, tmp_path / "list.csv")
    assert one.facts | {"seconds": 0} == other.facts | {"seconds": 0}
    assert one.facts["splits"] == {"train": {"0": 1, "1": 2}, "(none)": {"0": 1, "1": 0}}


def test_size_gives_the_label_away_and_shuffled_labels_do_not(tmp_path: Path) -> None:
    for n in range(80):
        size = (160, 120) if n % 2 else (140 + n, 130)
        put(tmp_path, f"{'cat' if n % 2 else 'dog'}/{n}.jpg", encode(texture(n, size), "JPEG"))
    done = run(tmp_path)
    found = {one["by"]: one for one in done.facts["shortcuts"]}
    assert found["size"]["auc"] > 0.95
    assert found["size"]["chance"] < 0.75
    assert "SHORTCUT       size alone gives the label away" in said(done)
    assert "no splits are named" in said(done)


def test_what_cannot_be_read_says_why_and_costs_itself_only(tmp_path: Path) -> None:
    put(clean(tmp_path), "train/cat/page.jpg", b"<html>gone</html>")
    put(tmp_path, "train/cat/cut.jpg", encode(photograph(), "JPEG")[:6000])
    put(tmp_path, "train/cat/dot.png", encode(Image.new("RGB", (1, 1)), "PNG"))
    put(tmp_path, "train/cat/empty.gif", b"")
    put(tmp_path, "train/cat/notes.txt", b"no picture")
    put(tmp_path, "train/cat/.hidden.jpg", b"no picture")
    os.mkfifo(tmp_path / "train/cat/pipe.jpg")
    (tmp_path / "train/cat/nowhere.jpg").symlink_to("absent.jpg")
    done = run(tmp_path)
    assert done.facts["unreadable"]["reasons"] == {
        "truncated": 2, "html_instead_of_media": 1, "file_missing": 1, "not_a_file": 1,
    }  # fmt: skip
    assert done.facts["left_out"] == {"files that are named like no picture": 1, "hidden files": 1}
    assert done.facts["pictures"] == 33


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("train/cat/1.png", "Test/cat/2.png"), {"train": {"cat": 1}, "Test": {"cat": 1}}),
        (("train/1.png", "test/2.png"), {"train": {"(none)": 1}, "test": {"(none)": 1}}),
        (("dev/1.png", "prod/2.png"), {"(none)": {"dev": 1, "prod": 1}}),
        (("train/cat/1.png", "extra/2.png", "3.png"), {"train": {"cat": 1, "extra": 0, "(none)": 0},
                                                       "(none)": {"cat": 0, "extra": 1, "(none)": 1}}),
        (("train/cat/web/a/1.png", "val/cat/2.png"), {"train": {"cat": 1}, "val": {"cat": 1}}),
    ],
)  # fmt: skip
def test_folders_are_splits_where_they_are_named_so(
    tmp_path: Path, names: tuple[str, ...], splits: dict[str, dict[str, int]]
) -> None:
    for n, name in enumerate(names):
        put(tmp_path, name, encode(texture(n, (40, 30)), "PNG"))
    assert run(tmp_path).facts["splits"] == splits


def test_links_and_paths_that_lead_outside_are_read_only_when_asked(tmp_path: Path) -> None:
    put(tmp_path, "pool/secret.png", encode(texture(99), "PNG"))
    put(tmp_path, "data/cat/1.png", encode(texture(1), "PNG"))
    (tmp_path / "data/cat/link.png").symlink_to(tmp_path / "pool/secret.png")
    (tmp_path / "data/dog").symlink_to(tmp_path / "pool")
    (tmp_path / "data/cat/loop").symlink_to(tmp_path / "data/cat")
    (tmp_path / "list.csv").write_text("path\ncat/1.png\n../pool/secret.png\n" + str(tmp_path / "pool/secret.png"))
    done = run(tmp_path / "data")
    assert [row.name for row in done.rows] == ["cat/1.png"]
    assert done.facts["left_out"]["links that lead outside (--outside follows them)"] == 2
    assert [row.name for row in run(tmp_path / "data", outside=True).rows] == [
        "cat/1.png",
        "cat/link.png",
        "dog/secret.png",
    ]
    done = run(tmp_path / "data", tmp_path / "list.csv")
    assert done.facts["left_out"] == {"paths outside the folder (--outside reads them)": 2}
    assert len(run(tmp_path / "data", tmp_path / "list.csv", outside=True).rows) == 3


def test_one_file_listed_in_two_splits_is_a_leak_and_twice_the_same_is_one_row(tmp_path: Path) -> None:
    put(tmp_path, "a.png", encode(texture(1), "PNG"))
    put(tmp_path, "b.png", encode(texture(2), "PNG"))
    (tmp_path / "list.csv").write_text(
        "file_name,class,split\na.png,x,train\na.png,x,test\nb.png,x,test\n./b.png,x,test\nb.png,x,test\n"
    )
    done = run(tmp_path, tmp_path / "list.csv")
    assert done.leak
    assert done.facts["left_out"] == {"rows that say again what another says": 2}
    assert len(done.rows) == 3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name,label\na,b\n", "no column of paths"),
        ("path,label\n", "no pictures here"),
        ('path,label\n"a\n', "not CSV"),
        ("path\n\n\n ,\n", "no pictures here"),
    ],
)
def test_a_list_that_says_nothing_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(UsageError, match=says):
        run(tmp_path, tmp_path / "list.csv")


def test_what_is_not_there_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "list.parquet").write_bytes(b"not parquet")
    for root, table, says in (
        (tmp_path / "absent", None, "no such folder"),
        (tmp_path, None, "no pictures here"), (None, None, "name a folder"),
        (tmp_path / "list.parquet", None, "a file"), (tmp_path, tmp_path / "list.parquet", "not Parquet"),
        (tmp_path, tmp_path / "absent.csv", "no such file"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=says):
            run(root, table)
    clean(tmp_path)
    with pytest.raises(UsageError, match=r"splits: no picture is in vall; there are train, test"):
        run(tmp_path, splits=("train", "test", "vall"))


def test_names_that_a_terminal_would_obey_are_escaped(tmp_path: Path) -> None:
    put(tmp_path, "train/c\x1b[31m/a\n\u202eb.png", encode(photograph().resize((200, 180)), "PNG"))
    name = os.path.join(os.fsencode(tmp_path), b"test", b"c\xff.png")  # noqa: PTH118
    os.makedirs(os.path.dirname(name))  # noqa: PTH103, PTH120
    with open(name, "wb") as file:  # noqa: PTH123
        file.write(encode(photograph().resize((180, 160)), "PNG"))
    done = run(tmp_path)
    text = said(done) + json.dumps(done.facts, ensure_ascii=False)
    text.encode()
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "train/c\\x1b[31m/a\\n\\u202eb.png" in said(done)
    assert "test/c\\udcff.png" in said(done)


def test_the_page_shows_no_picture_clearly(tmp_path: Path) -> None:
    for n, shipped in enumerate(SHIPPED):
        put(tmp_path, f"train/cat/<b>{n}.png", encode(photograph(shipped).resize((300, 300)), "PNG"))
        put(tmp_path, f"test/dog/{n}.jpg", encode(photograph(shipped).resize((200, 200)), "JPEG"))
    path = write_page(tmp_path / "page.html", tmp_path, run(tmp_path), QUIET)
    text = path.read_text(encoding="utf-8")
    pictures = re.findall(r'src="data:image/([a-z]+);base64,([A-Za-z0-9+/=]+)"', text)
    assert len(pictures) >= 16
    for kind, data in pictures:
        image = Image.open(io.BytesIO(base64.b64decode(data)))
        assert (kind, image.mode) == ("png", "L")
        assert max(image.size) <= 8
    assert "<b>0.png" not in text
    assert "<script" not in text
    assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(UsageError, match="--report"):
        write_page(tmp_path / "absent" / "page.html", tmp_path, run(tmp_path), QUIET)


def test_the_command_exits_4_on_a_leak_and_writes_nothing(tmp_path: Path) -> None:
    root = clean(tmp_path / "data")
    before = sorted(path.name for path in tmp_path.rglob("*"))

    def curate(*args: str, code: int) -> str:
        ended, out, err = command(tmp_path, "check", *args)
        assert ended == code, out + err
        return out + err

    assert json.loads(curate(str(root), "--json", "-q", code=0))["leak"] is False
    assert sorted(path.name for path in tmp_path.rglob("*")) == before
    put(root, "test/cat/again.jpg", (root / "train/cat/0.jpg").read_bytes())
    assert "\nLEAK " in curate(str(root), "--report", str(tmp_path / "r.html"), code=4)
    assert (tmp_path / "r.html").is_file()
    assert json.loads(curate(str(root), "--json", "-q", "--limit", "1000", code=4))["leak"] is True
    assert "no such folder" in curate(str(tmp_path / "absent"), code=2)


# -- animations ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["GIF", "TIFF"])
def test_a_frame_in_another_split_is_a_leak_and_no_conflict(tmp_path: Path, kind: str) -> None:
    """What one frame has in common is no other label of one picture; what the first frames have is."""
    shared = texture(90)
    put(clean(tmp_path), f"train/cat/moving.{kind.lower()}", clip(kind, [texture(91), texture(92), shared]))
    put(tmp_path, "test/dog/still.jpg", encode(shared))
    put(tmp_path, f"val/dog/other.{kind.lower()}", clip(kind, [texture(93), shared, texture(94)]))
    done = run(tmp_path)
    assert {(one["in"], one["split"], one["pictures"]) for one in done.facts["leaks"]} == {
        ("train", "val", 1), ("train", "test", 1), ("val", "test", 1)
    }  # fmt: skip
    assert done.facts["conflicts"]["pictures"] == 0
    assert done.facts["duplicates"]["largest"] == 3
    put(tmp_path, "train/dog/first.jpg", encode(texture(91)))
    assert run(tmp_path).facts["conflicts"]["pictures"] == 2


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.lists(st.integers(0, 12), min_size=1, max_size=4), st.booleans(), st.booleans()), max_size=9)
)
def test_leaks_and_conflicts_of_animations_are_those_of_brute_force(made: list[tuple[list[int], bool, bool]]) -> None:
    """Picture k is five bits from k + 1, ten from k + 2: a radius of eight joins neighbours."""
    rows, looks = [], {}
    for n, (shown, left, cat) in enumerate(made):
        frames = [(np.packbits(np.arange(64) < 5 * k).tobytes(), 50.0, bytes(32), 0) for k in shown]
        others = tuple((1, *one) for one in frames[1:])
        signs = np.random.default_rng(n).bytes(16)  # far from everybody's, however turned
        seen = Seen(str(n), f"{n:064x}", "", 9, 9, 9, "", frames[0][0] + bytes(8), signs, 50.0, pdq=bytes(256))
        looks[str(n)] = replace(seen, others=others)
        rows.append(DatasetRow(str(n), str(n), "cat" if cat else "dog", "train" if left else "test", ""))
    found = alike(rows, Pictures.from_rows(rows, looks), ["train", "test"], ["cat", "dog"])

    def near(a: int, b: int, whole: bool) -> bool:
        pairs = itertools.product(made[a][0][: 1 if whole else None], made[b][0][: 1 if whole else None])
        return any(abs(one - other) <= 1 for one, other in pairs)

    every = range(len(made))
    leaking = [any(made[a][1] and near(a, b, False) for a in every) for b in every if not made[b][1]]
    torn = [any(made[a][2] != made[b][2] and near(a, b, True) for a in every) for b in every]
    assert (found.leaks["train", "test"], found.torn) == (sum(leaking), sum(torn))
