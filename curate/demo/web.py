"""The demo's own web: the corpus under stable paths, beside what the real web does. No clock, no chance in it."""

import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, ImageDraw

from curate.demo.corpus import Item
from curate.media.decode import Bounds, open_image, scaled
from curate.records import Reason

STORED = "stored"
QUALITIES = (60, 75, 90)
HALF = "half"
PHOTOGRAPHS, DRAWINGS = 20, 20  # how many originals of each class get near-duplicates
LEAST_SIDE = 120  # px of a shorter side, below which nothing is halved
# A picture that is its own mirror image has a pHash half of whose bits are the signs of coefficients that are zero but
# for rounding: its copies are not near it. Below 8 the worst of 370 drawings x 4 copies was 20 bits away, above it 6.
LEAST_ASYMMETRY = 10.0
_TYPES = {".jpg": "image/jpeg", ".png": "image/png", ".gif": "image/gif"}
_HTML = b"<!DOCTYPE html><html><head><title>Image hosting</title></head><body>Please enable JavaScript.</body></html>"
_ROBOTS = b"User-agent: *\nDisallow: /members/\n"
_REMOVED = "/removed.png"
_NOT_URLS = (  # lines as they are found in lists, each with what is wrong
    ("http//missing-colon.example/a.jpg", Reason.MALFORMED_URL),
    ("https://[::1/unfinished.jpg", Reason.MALFORMED_URL),
    ("see my gallery at http://photos.example/", Reason.MALFORMED_URL),
    ("ftp://files.example/a.jpg", Reason.UNSUPPORTED_SCHEME),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server says to a GET; `first_429` says "later" to the first one."""

    body: bytes = b""
    type: str = "image/jpeg"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    first_429: bool = False


@dataclass(frozen=True, slots=True)
class Truth:
    """What one line of the lists is: `expected` is "stored" or a Reason, `origin` the URL that it is a copy of."""

    kind: str
    label: str
    expected: str
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One candidate: `address` is a path on the server, or (without a leading slash) a line that is no URL of ours."""

    address: str
    kind: str
    label: str
    answer: Answer
    expected: str = STORED
    origin: str | None = None


@dataclass(frozen=True)
class Site:
    """Every candidate of the demo, and what the server answers under each path."""

    pages: tuple[Page, ...]

    @property
    def answers(self) -> dict[str, Answer]:
        """By path; what is not in it is a 404."""
        fixed = {_REMOVED: Answer(_removed_picture(), "image/png"), "/robots.txt": Answer(_ROBOTS, "text/plain")}
        return fixed | {page.address: page.answer for page in self.pages if page.address.startswith("/")}

    def truth(self, base_url: str) -> dict[str, Truth]:
        """What each distinct line of the lists is, and how it must end."""
        return {
            _url(base_url, page.address): Truth(
                page.kind, page.label, page.expected, None if page.origin is None else _url(base_url, page.origin)
            )
            for page in self.pages
        }

    def pairs(self, base_url: str) -> list[tuple[str, str]]:
        """Planted near-duplicates: (URL of the original, URL of the re-encoded or halved copy)."""
        kinds = {*_REENCODED, HALF}
        return [(str(t.origin), url) for url, t in self.truth(base_url).items() if t.kind in kinds]

    def write_lists(self, base_url: str, out: Path) -> None:
        """Write `out`/raw_data/<class>/urls_<class>.txt, with the blank, comment and repeated lines that lists have."""
        for label in sorted({page.label for page in self.pages}):
            lines = [_url(base_url, page.address) for page in self.pages if page.label == label]
            folder = out / "raw_data" / label
            folder.mkdir(parents=True, exist_ok=True)
            text = ["# collected by hand", "", *lines, "   ", *lines[:5], ""]
            (folder / f"urls_{label}.txt").write_text("\n".join(text), encoding="utf-8")


def build(items: Sequence[Item]) -> Site:
    """The site of these items: every one as it is, then copies of some, then what goes wrong, in a mixed order."""
    originals = [_original(item) for item in items]
    some = [*_spread(_one_a_group(originals, "neutral"), PHOTOGRAPHS)]
    some += [*_spread([page for page in originals if page.label == "drawings" and _copyable(page)], DRAWINGS)]
    pages = [*originals, *_near(some), *_exact(some[::4]), *_failures(originals)]
    return Site(tuple(sorted(pages, key=lambda page: hashlib.sha256(page.address.encode()).digest())))


def _url(base_url: str, address: str) -> str:
    return base_url + address if address.startswith("/") else address


def _original(item: Item) -> Page:
    kind = "photos" if item.label == "neutral" else "drawings"
    answer = Answer(item.data, _TYPES[Path(item.name).suffix])
    return Page(f"/{kind}/{item.group}/{item.name}", "original", item.label, answer)


def _one_a_group(pages: Iterable[Page], label: str) -> list[Page]:
    return list({page.address.rpartition("/")[0]: page for page in pages if page.label == label}.values())


def _spread(pages: Sequence[Page], count: int) -> Iterator[Page]:
    """`count` of them, evenly spread."""
    return (pages[i * len(pages) // count] for i in range(min(count, len(pages))))


def _copyable(page: Page) -> bool:
    import numpy as np

    image = _decoded(page)
    small = np.asarray(image.convert("L").resize((32, 32), Image.Resampling.BOX), dtype=np.float64)
    mirrored = min(np.abs(small - small[:, ::-1]).mean(), np.abs(small - small[::-1]).mean())
    return min(image.size) >= LEAST_SIDE and bool(mirrored > LEAST_ASYMMETRY)


def _near(pages: Iterable[Page]) -> Iterator[Page]:
    """Re-encoded and halved copies, each in a folder of its own: nothing but its looks ties a copy to its original."""
    for number, page in enumerate(pages):
        image, stem = _decoded(page), Path(page.address).stem
        half = image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
        made = {f"q{quality}": (_encoded(image, quality), ".jpg") for quality in QUALITIES}
        made[HALF] = (_encoded(half, 90), ".jpg") if page.label == "neutral" else (_encoded(half, None), ".png")
        for kind, (data, suffix) in made.items():
            yield Page(
                f"/reposts/{number}-{kind}/{stem}{suffix}", kind, page.label, Answer(data, _TYPES[suffix]), STORED,
                page.address,
            )  # fmt: skip


_REENCODED = tuple(f"q{quality}" for quality in QUALITIES)


def _exact(pages: Iterable[Page]) -> Iterator[Page]:
    """The same bytes elsewhere, under another name; some names are not ASCII."""
    for number, page in enumerate(pages):
        address = f"/mirrors/{number}/{'façade' if number % 4 == 0 else 'img'}_{4000 + number}.jpg"
        yield Page(address, "exact", page.label, page.answer, STORED, page.address)


def _failures(originals: Sequence[Page]) -> Iterator[Page]:
    for label in ("drawings", "neutral"):
        yield from _dead(label)
    for line, reason in _NOT_URLS:
        yield _bad(line, "no_url", "neutral", Answer(), reason)
    some = list(_spread([page for page in originals if page.label == "neutral"], 8))
    for number, page in enumerate(some[:6]):
        cut = Answer(page.answer.body[: len(page.answer.body) * 6 // 10])
        yield _bad(f"/photos/cut/{number}.jpg", "truncated", "neutral", cut, Reason.TRUNCATED)
    for number, page in enumerate(some[6:]):
        body = page.answer.body
        yield _bad(f"/members/{number}.jpg", "robots", "neutral", Answer(body), Reason.ROBOTS_DISALLOWED)
        kept = Answer(body, headers={"X-Robots-Tag": "noai, noimageai"})
        yield _bad(f"/photos/kept/{number}.jpg", "opt_out", "neutral", kept, Reason.OPT_OUT_HEADER)
        late = Answer(body, first_429=True)
        yield Page(f"/busy/{number}/later.jpg", "throttled", "neutral", late, STORED, page.address)


def _dead(label: str) -> Iterator[Page]:
    """Links that are gone, in the ways that links go."""
    gone = Answer(b"not found", "text/plain", 404)
    for number in range(6):
        yield _bad(f"/photos/deleted-{label}/{number}.jpg", "not_found", label, gone, Reason.HTTP_404)
    moved = Answer(status=302, headers={"Location": _REMOVED})
    for number in range(5):
        yield _bad(f"/i/{label}{number}.jpg", "removed", label, moved, Reason.PLACEHOLDER)
    for number, lie in enumerate(("text/html", "image/jpeg")):
        page = Answer(_HTML, lie)
        yield _bad(f"/photos/login-{label}/{number}.jpg", "html", label, page, Reason.HTML_INSTEAD_OF_MEDIA)
    for name, target in (("lan", "http://10.0.0.1/camera.jpg"), ("cloud", "http://169.254.169.254/latest/meta-data/")):
        private = Answer(status=302, headers={"Location": target})
        yield _bad(f"/out/{label}-{name}.jpg", "private_redirect", label, private, Reason.ADDRESS_DENIED)
    dot = Answer(_encoded(Image.new("RGB", (1, 1), "white"), None), "image/png")
    yield _bad(f"/count-{label}.png", "tracking_pixel", label, dot, Reason.TOO_SMALL)


def _bad(address: str, kind: str, label: str, answer: Answer, reason: Reason) -> Page:
    return Page(address, kind, label, answer, reason.value)


def _decoded(page: Page) -> Image.Image:
    return scaled(open_image(page.answer.body, Bounds()), None)


def _encoded(image: Image.Image, quality: int | None) -> bytes:
    """A JPEG of that quality, or a PNG."""
    out = io.BytesIO()
    if quality is None:
        image.save(out, "PNG")
    else:
        image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def _removed_picture() -> bytes:
    image = Image.new("RGB", (161, 81), "#ddd")
    ImageDraw.Draw(image).text((30, 34), "image was removed", fill="#555")
    return _encoded(image, None)
