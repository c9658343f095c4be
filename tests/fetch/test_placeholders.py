"""Pictures that say "this picture is gone": known ones by table, unknown ones by how often a host serves them."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from curate.config import Config, FetchConfig, ScreeningConfig
from curate.engine.serial import Serial
from curate.fetch import placeholders
from curate.fetch.run import fetch
from curate.media.placeholders import placeholder
from curate.net.client import Client
from curate.net.limits import Limits
from curate.progress import Progress
from curate.records import Response
from curate.release.rows import collect
from curate.screening.gate import Gate
from curate.store.holds import held
from curate.store.workspace import Workspace
from sources.urllist import Urllist
from tests.support.pictures import encode, texture
from tests.support.web import Answer, Web, serving

GONE: Answer = (200, {"Content-Type": "image/png"}, encode(texture(1), "PNG"))
IMGUR = "d835884373f4d6c8f24742ceabe74946"


@pytest.mark.parametrize(
    ("url", "hops", "headers", "md5", "size", "kind"),
    [
        ("https://i.imgur.com/removed.png", (), {}, "0", None, "imgur-removed"),
        ("https://i.imgur.com/a.jpg", (), {"etag": f'"{IMGUR}"'}, "0", None, "imgur-removed"),
        ("https://i.imgur.com/a.jpg", (), {"etag": f'W/"{IMGUR}"'}, "0", None, "imgur-removed"),
        ("https://i.imgur.com/a.jpg", (), {}, IMGUR, None, "imgur-removed"),
        ("https://i.imgur.com/a.jpg", (), {}, "0", (161, 81), "imgur-removed"),
        ("https://notimgur.com/a.jpg", (), {}, "0", (161, 81), None),
        ("https://i.imgur.com/a.jpg", (), {}, "0", (161, 82), None),
        ("https://i.imgur.com/a.jpg", (), {"etag": '""'}, "0", (640, 480), None),
        ("https://a.example/removed.png", (), {}, "0", None, None),
        ("https://a.example/removed.png?x", ("https://a.example/1.jpg",), {}, "0", None, "redirected-to-removed"),
        ("http://static.hugedomains.com/images/logo.gif", (), {}, "0", None, "parked-domain"),
    ],
)  # fmt: skip
def test_known_placeholders(
    url: str,
    hops: tuple[str, ...],
    headers: Mapping[str, str],
    md5: str,
    size: tuple[int, int] | None,
    kind: str | None,
) -> None:
    assert placeholder(Response(url, 200, headers, b"", hops), md5, size) == kind


def run(ws: Workspace, site: Web, lines: list[str], most: int = 20) -> dict[str, object]:
    """Fetch these paths, all of them known from then on."""
    path = ws.root / "urls.txt"
    path.write_text("".join(f"{site.url(line)}\n" for line in lines))
    ws.config = Config(fetch=FetchConfig(placeholder_urls=most), screening=ScreeningConfig(required=False))
    client = Client(Limits(contact="test@example.org", allow_private=(site.origin,)))
    source = Urllist(path, label="neutral", license=str(len(lines)))  # another source each time
    return fetch(ws, [source], client, Gate(required=False), Serial(), Progress(quiet=True))


def test_the_same_bytes_from_many_urls_of_one_host_are_withheld(tmp_path: Path) -> None:
    gone = [f"/gone/{n}.png" for n in range(20)]
    answers: dict[str, Answer] = dict.fromkeys(gone, GONE)
    answers |= {f"/{n}.png": (200, {}, encode(texture(2 + n // 5), "PNG")) for n in range(10)}
    good = list(answers)[20:]
    ws = Workspace(tmp_path / "w", Config())
    with serving(answers) as site, serving(answers) as other:
        assert run(ws, site, good + gone[:19])["withheld"] == {}
        assert run(ws, other, gone[:1])["withheld"] == {}, "hosts are counted apart"
        said = run(ws, site, gone)
        assert said["withheld"] == {"placeholder": 1}, "the last URL takes those stored earlier with it"
        assert said["stored"] == 31
        assert len(held(ws.catalog)) == 1
        assert dict(collect(ws).excluded) == {"placeholder": 1, "not_deduped": 2}
        assert run(ws, site, gone, most=5)["withheld"] == {"placeholder": 3}, "a lower number is applied to all"
        assert run(ws, site, gone, most=0)["withheld"] == {}, "a higher one lets them back in"
    ws.close()


def test_files_of_this_machine_are_nobodys_placeholders(tmp_path: Path) -> None:
    from sources.local import Local

    for n in range(25):
        (tmp_path / f"{n}.png").write_bytes(GONE[2])
    ws = Workspace(tmp_path / "w", replace(Config(), fetch=FetchConfig(placeholder_urls=2)))
    source = Local(tmp_path, label="neutral")
    client = Client(Limits(contact="test@example.org"))
    said = fetch(ws, [source], client, Gate(required=False), Serial(), Progress(quiet=True))
    assert (said["stored"], said["withheld"]) == (25, {})
    ws.close()


def test_a_batch_is_judged_by_its_own_samples(tmp_path: Path) -> None:
    """By the index of samples: not by reading every stored candidate for each batch."""
    ws = Workspace(tmp_path / "w", Config())
    sql = placeholders._REPEATED.format(samples="IN (:s0, :s1)")
    values = {**placeholders._values(20, None), "s0": "a", "s1": "b"}
    with ws.catalog.tx() as db:
        steps = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
    assert "USING INDEX candidates_sample" in steps[0]
    ws.close()
