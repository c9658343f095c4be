"""Over a whole run nothing of a listed picture exists anywhere, whatever was done to it; a gate in doubt says no."""

import hashlib
import io
import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from curate.errors import GateError
from curate.media import pdq
from curate.media.pdq import Pdq
from curate.records import Digests
from curate.screening import gate as gates
from curate.screening.gate import Gate, load
from curate.screening.lists.lines import Lines
from tests.fetch.test_fetch import curate, fates, workspace
from tests.support.pictures import encode, photograph, texture
from tests.support.web import Answer, Web, serving

NAMES = ("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg")
ANY = Digests("0" * 64, "0" * 40, "0" * 32)


def listing(folder: Path, *images: Image.Image) -> str:
    """A list with the PDQ of the pictures; the lines of curate.toml that name it."""
    (folder / "list.txt").write_text("\n".join(pdq.compute(one).hashes[:32].hex() for one in images))
    return '[[screening.lists]]\nuse = "lines"\npath = "list.txt"\nalgorithm = "pdq"'


def copies(photo: Image.Image) -> dict[str, bytes]:
    """What people do to a picture before they pass it on."""
    turned = {f"turned {n * 90}": photo.rotate(90 * n, expand=True) for n in (1, 2, 3)}
    flips = {"mirrored": Image.Transpose.FLIP_LEFT_RIGHT, "upside down": Image.Transpose.FLIP_TOP_BOTTOM}
    flips |= {"transposed": Image.Transpose.TRANSPOSE, "transversed": Image.Transpose.TRANSVERSE}
    found = {name: encode(image, "PNG") for name, image in turned.items()}
    found |= {name: encode(photo.transpose(how), quality=80) for name, how in flips.items()}
    small = photo.resize((photo.width // 2, photo.height // 2), Image.Resampling.LANCZOS)
    return found | {
        "as it is": encode(photo, "PNG"),
        "re-encoded": encode(photo, quality=40),
        "half the size": encode(small, quality=85),
        "webp": encode(photo, "WEBP", quality=70),
        "grey": encode(photo.convert("L"), quality=85),
    }


def looked(data: bytes) -> tuple[Pdq, ...]:
    return (pdq.compute(Image.open(io.BytesIO(data)).convert("RGB")),)


def screened(gate: Gate, data: bytes, parts: tuple[Pdq, ...]) -> gates.Verdict:
    digests = Digests(hashlib.sha256(data).hexdigest(), hashlib.sha1(data).hexdigest(), hashlib.md5(data).hexdigest())
    return gate.screen([digests], [parts])[0]


@pytest.mark.parametrize("name", NAMES)
def test_copies_of_listed_pictures_are_found_and_no_others(tmp_path: Path, name: str) -> None:
    photo = photograph(name)
    assert pdq.compute(photo).quality >= pdq.MIN_QUALITY
    listing(tmp_path, photo)
    gate = load([("lines:1", Lines(tmp_path / "list.txt", algorithm="pdq"))], True, None, 1)
    for what, data in copies(photo).items():
        match = screened(gate, data, looked(data)).match
        assert match is not None, f"{name} {what}"
        assert (match.algorithm, match.entry, match.part) == ("pdq", "line 1", "main")
    for other in (*(photograph(one) for one in NAMES if one != name), *(texture(n) for n in range(8))):
        assert screened(gate, encode(other), looked(encode(other))).match is None


def test_within_31_bits_and_no_farther(tmp_path: Path) -> None:
    photo = photograph()
    listing(tmp_path, photo)
    gate = load([("lines:1", Lines(tmp_path / "list.txt", algorithm="pdq"))], True, None, 1)
    for bits in (0, 1, 30, 31, 32, 47):
        mask = np.zeros(256, dtype=np.uint8)
        mask[np.random.default_rng(bits).permutation(256)[:bits]] = 1
        off = Pdq("main", (np.array(pdq.compute(photo).array) ^ np.packbits(mask)).tobytes(), 90)
        match = gate.screen([ANY], [(off,)])[0].match
        assert (match.distance if match else None) == (bits if bits <= 31 else None)
        assert match is None or (match.quality, match.value) == (90, pdq.compute(photo).hashes[:32].hex())


def test_every_part_is_matched_and_a_poor_one_only_exactly(tmp_path: Path) -> None:
    photo = photograph()
    listing(tmp_path, photo)
    gate = load([("lines:1", Lines(tmp_path / "list.txt", algorithm="pdq"))], True, None, 1)
    good, fine = pdq.compute(photo), pdq.compute(photograph("coffee.png"))
    main = Pdq("main", fine.hashes, 90)
    for part in ("frame:7", "page:2", "preview:0", "alpha:black"):
        match = gate.screen([ANY], [(main, Pdq(part, good.hashes, 90))])[0].match
        assert match is not None
        assert match.part == part
    poor = gate.screen([ANY], [(Pdq("main", good.hashes, 49),)])[0]
    assert (poor.match, poor.exact_only) == (None, True)
    assert gate.screen([ANY], [()])[0].unavailable, "a picture without a hash cannot be let through"
    assert gate.screen([ANY], [None])[0] == gates.Verdict(), "what is no picture has digests only"


# -- a whole run -----------------------------------------------------------------------------------------------------


class Watch:
    """Looks at every file below some folders, again and again, for bytes that must be nowhere."""

    def __init__(self, folders: list[Path], bodies: list[bytes]) -> None:
        self._folders, self._needles = folders, [body[64:160] for body in bodies]
        self._seen: dict[tuple[int, int, int], bool] = {}
        self.found: set[str] = set()
        self.looks = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self.look()

    def _run(self) -> None:
        while not self._end.wait(0.002):
            self.look()

    def look(self) -> None:
        self.looks += 1
        for folder in self._folders:
            for place, _, files in os.walk(folder):
                for name in files:
                    self._look_at(Path(place) / name)

    def _look_at(self, path: Path) -> None:
        try:
            state = path.stat()
            key = (state.st_ino, state.st_size, state.st_mtime_ns)
            if key not in self._seen:
                self._seen[key] = True
                data = path.read_bytes()
                if any(needle in data for needle in self._needles):
                    self.found.add(str(path))
        except OSError:
            return


@pytest.fixture(scope="module")
def pictures() -> dict[str, Answer]:
    answers: dict[str, Answer] = {f"/{n}.jpg": (200, {}, encode(texture(n, (96, 72)))) for n in range(499)}
    return answers | {f"/copy/{n}.jpg": (200, {}, data) for n, data in enumerate(copies(photograph()).values())}


@pytest.fixture
def web(pictures: dict[str, Answer]) -> Iterator[Web]:
    with serving(dict(pictures)) as site:
        yield site


def test_of_500_nothing_of_the_listed_one_ever_exists(
    tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listed picture, as a mirrored and re-encoded copy, in the middle of the run; the disk is watched."""
    temp = tmp_path / "temp"
    temp.mkdir()
    monkeypatch.setenv("TMPDIR", str(temp))
    root = tmp_path / "ws"
    root.mkdir()
    screen = "stop_after_matches = 0\n" + listing(root, photograph())
    paths = [f"/{n}.jpg" for n in range(499)]
    bad = copies(photograph())["mirrored"]
    at = next(path for path, answer in web.answers.items() if answer[2] == bad)
    paths.insert(250, at)
    workspace(root, web, {"neutral": paths}, screen=screen)
    with Watch([root, temp], [bad]) as watch:
        error = curate(root, "fetch", ok=(5,))["error"]
    assert watch.looks > 20
    assert watch.found == set()
    assert "incident 1" in error
    assert at not in error
    check_nothing_is_left(root, bad, at)


def check_nothing_is_left(root: Path, bad: bytes, at: str) -> None:
    assert [fate for path, fate in fates(root).items() if path.endswith(at)] == ["gate_match"]
    assert sum(fate == "stored" for fate in fates(root).values()) == 499
    sample, hashes = hashlib.sha256(bad).hexdigest(), np.array(looked(bad)[0].array)
    for path in (root / "work").rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        assert sample.encode() not in data, f"{path}: the digest is kept keyed only"
        assert bad[64:160] not in data, path
        assert not any(one.tobytes() in data for one in hashes), path
        if path.suffix == ".parquet":
            rows = pq.read_table(path).to_pydict()
            assert sample not in rows.get("id", ()), f"{path}: a row of it"
            assert not {one.tobytes() for one in hashes} & {cell[:32] for cell in rows.get("pdq", ())}, path
    for verb in ("dedupe", "label"):  # what came with the match is held back: nothing is left to look at
        curate(root, verb, ok=(3,))
    with sqlite3.connect(root / "work" / "catalog.db") as db:
        assert db.execute("SELECT count(*) FROM members WHERE sample = ?", (sample,)).fetchone()[0] == 0
        row = db.execute("SELECT kind, list, entry, detail FROM incidents").fetchone()
        assert row[:3] == ("match", "lines:1", "line 1")
        assert json.loads(row[3])["algorithm"] == "pdq"
        log = db.execute("SELECT * FROM log").fetchall()
    assert "http" not in str(log), "logs carry ids, never a URL"
    error = curate(root, "export", "1.0.0", ok=(2,))["error"]
    assert "499 quarantined" in error, "what came from the same list file is held until the operator decides"
    released = curate(root, "screening", "release", "1", "--reason", "looked into by the operator")
    assert (released["released"], released["kept"]) == (1, 0)
    curate(root, "dedupe")
    curate(root, "label")
    assert sum(curate(root, "export", "1.0.0")["rows"].values()) == 499


def test_every_kind_of_copy_is_stopped(tmp_path: Path, web: Web) -> None:
    paths = sorted(path for path in web.answers if path.startswith("/copy/"))
    screen = "stop_after_matches = 0\n" + listing(tmp_path, photograph())
    root = workspace(tmp_path, web, {"porn": [*paths, "/1.jpg"]}, screen=screen, required=True)
    curate(root, "fetch", ok=(5,))
    assert sorted(set(fates(root).values())) == ["gate_match", "stored"]
    assert sum(fate == "gate_match" for fate in fates(root).values()) == len(paths) == 12
    status = curate(root, "screening", "status")
    assert (status["screened"], status["matched"], status["incidents"]) == (1, 12, {"open": 12})
    assert len(list((root / "work" / "blobs").glob("*/*"))) == 1


def test_what_is_sealed_only_the_operator_opens(tmp_path: Path, web: Web) -> None:
    from nacl.public import PrivateKey, SealedBox

    key, (at, bad) = PrivateKey.generate(), ("/copy/0.jpg", web.answers["/copy/0.jpg"][2])
    policy = f'on_match = "preserve"\noperator = "ann@example.org"\npublic_key = "{bytes(key.public_key).hex()}"\n'
    root = workspace(tmp_path, web, {"porn": [at]}, screen=policy + listing(tmp_path, photograph()), required=True)
    assert "sealed to your key" in curate(root, "fetch", ok=(5,))["error"]
    (path,) = (root / "work" / "sealed").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    head, _, body = SealedBox(key).decrypt(path.read_bytes()).partition(b"\n")
    assert body == bad
    assert json.loads(head)["sha256"] == hashlib.sha256(bad).hexdigest()
    assert bad[64:160] not in b"".join(p.read_bytes() for p in root.rglob("*") if p.is_file())
    with sqlite3.connect(root / "work" / "catalog.db") as db:
        db.execute("UPDATE incidents SET detail = json_set(detail, '$.expires', '2020-01-01')")
    (path.parent / "stray.sealed").write_bytes(b"a killed run's")
    said = curate(root, "screening", "status")
    assert (said["sealed"], said["expired"]) == (0, 1)
    assert [one.name for one in path.parent.iterdir()] == ["stray.sealed"], "a run at work may not have recorded it yet"
    curate(root, "fetch", ok=(5,))  # nothing is stored, and nothing is asked for again
    assert not list(path.parent.iterdir())
    assert "sealed" not in curate(root, "screening", "incident", "1")


def test_to_preserve_somebody_must_answer_for_it(tmp_path: Path, web: Web) -> None:
    for policy in ('on_match = "preserve"', 'on_match = "preserve"\noperator = "a"', 'on_match = "keep"'):
        root = tmp_path / str(len(policy))
        root.mkdir()
        workspace(root, web, {"porn": ["/1.jpg"]}, screen=f"{policy}\n{listing(root, texture(1))}", required=True)
        assert "screening" in curate(root, "fetch", ok=(2,))["error"]
    assert not web.asked


def test_an_incident_says_what_a_hotline_asks_for_and_that_is_logged(tmp_path: Path, web: Web) -> None:
    screen = listing(tmp_path, photograph())
    root = workspace(tmp_path, web, {"porn": ["/copy/1.jpg"]}, screen=screen, required=True)
    curate(root, "fetch", ok=(5,))
    plain = json.dumps(curate(root, "screening", "incident", "1"))
    assert "http:" not in plain
    assert "incident_report" not in json.dumps(curate(root, "log"))
    said = curate(root, "screening", "incident", "1", "--for-report")
    assert (said["list"], said["entry"], said["held"]) == ("lines:1", "line 1", {"list": 1})
    (place,) = said["report"]["places"]
    assert place["locator"] == web.url("/copy/1.jpg")
    assert place["fetched_at"]
    assert "incident_report" in json.dumps(curate(root, "log"))
    assert "no such incident" in curate(root, "screening", "incident", "2", ok=(2,))["error"]
    assert "say why" in curate(root, "screening", "release", "1", "--reason", " ", ok=(2,))["error"]


def test_a_corrupt_list_refuses_and_a_few_corrupt_rows_are_told(tmp_path: Path, web: Web) -> None:
    good = [hashlib.sha256(bytes([n])).hexdigest() for n in range(3)]
    root = workspace(tmp_path, web, {"neutral": ["/1.jpg"]}, screen=listing(tmp_path, texture(1)), required=True)
    (root / "list.txt").write_text("\n".join([*good, *["xyz"] * 4]))
    assert "is corrupt: 4 rows cannot be read" in curate(root, "fetch", ok=(4,))["error"]
    assert not web.asked
    (root / "list.txt").write_text("\n".join([*good, *["xyz"] * 3]))
    curate(root, "fetch")
    status = curate(root, "screening", "status")
    assert (status["lists"][0]["entries"], status["lists"][0]["corrupt"]) == (3, 3)
    assert status["rows"]["lines:1"][0] == "line 4: not pdq in hex"


def test_without_pdq_nothing_is_fetched(tmp_path: Path, web: Web) -> None:
    root = workspace(tmp_path, web, {"neutral": ["/1.jpg"]}, screen=listing(tmp_path, texture(1)), required=True)
    code = (
        "import sys; sys.modules['pdqhash'] = None; sys.argv[1:] = ['fetch', '-w', sys.argv[1]]; import cli; cli.main()"
    )
    run = subprocess.run([sys.executable, "-c", code, str(root)], capture_output=True, text=True)
    assert (run.returncode, "PDQ is missing" in run.stderr) == (4, True)
    assert not web.asked


def test_an_index_that_lost_its_canary_fetches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listing(tmp_path, texture(1))
    monkeypatch.setattr("curate.screening.index._plainly", lambda columns, asked: (np.full(2, 200), np.zeros(2, int)))
    gate = load([("lines:1", Lines(tmp_path / "list.txt", algorithm="pdq"))], True, None, 1)
    assert not gate.healthy
    with pytest.raises(GateError, match="canary"):
        gate.admit(frozenset({"neutral"}), ["neutral"])
