"""Files of cameras and editors: the test pictures of Debian's source packages, and how many of them are refused.

    python -m benchmarks.realfiles --gather     # some 140 MB by `apt-get source`, into the benchmarks' cache
    python -m benchmarks.realfiles              # what becomes of each file that decodes, and every refusal by name

Needs a Debian with `apt-get`; its own list of sources is used, asked for source packages.
"""

import argparse
import hashlib
import re
import subprocess
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks.corpus import cache
from curate.errors import ItemError
from curate.media.decode import Bounds, decoding, open_image
from curate.media.hidden import inspect
from curate.media.parts import parts

PACKAGES = (
    "exiv2", "gdk-pixbuf", "gexiv2", "giflib", "golang-github-rwcarlsen-goexif", "jhead", "kimageformats", "libexif",
    "libextractor", "libgd2", "libheif", "libimage-exiftool-perl", "libjpeg-turbo", "libmetadata-extractor-java",
    "libsdl2-image", "libwebp", "php8.2", "piexif", "pillow", "tiff", "tracker-miners", "vips",
)  # fmt: skip
SUFFIXES = (
    ".jpg",
    ".jpeg",
    ".jpe",
    ".jfif",
    ".mpo",
    ".png",
    ".apng",
    ".gif",
    ".webp",
    ".bmp",
    ".tif",
    ".tiff",
    ".avif",
)
BOUNDS = Bounds(min_side=1)


def folder() -> Path:
    """Where the pictures are kept between runs."""
    return cache() / "realfiles"


def gather() -> None:
    """Fetch the source packages, and take their pictures out of them."""
    work = cache() / "realfiles-packages"
    (work / "sources").mkdir(parents=True, exist_ok=True)
    (work / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    for path in [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")]:
        if path.suffix in (".list", ".sources") and path.is_file():
            text = re.sub(r"^Types:.*", "Types: deb-src", path.read_text(), flags=re.MULTILINE)
            (work / "sources" / path.name).write_text(re.sub(r"^deb\b", "deb-src", text, flags=re.MULTILINE))
    options = (
        f"Dir::Etc::sourceparts={work / 'sources'}", "Dir::Etc::sourcelist=/dev/null",
        f"Dir::State::lists={work / 'lists'}", "APT::Sandbox::User=",
    )  # fmt: skip
    apt = ["apt-get", "-qq", *(word for one in options for word in ("-o", one))]
    subprocess.run([*apt, "update"], check=True)
    for package in PACKAGES:
        done = subprocess.run([*apt, "source", "--download-only", package], cwd=work, check=False, capture_output=True)
        if done.returncode:
            print(f"  {package}: not to be had as a whole, what came of it is used")
    for archive in sorted(work.glob("*.tar.*")):
        if archive.suffix != ".asc":
            _unpack(archive)


def _unpack(archive: Path) -> None:
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and member.name.lower().endswith(SUFFIXES):
                file = tar.extractfile(member)
                data = file.read() if file else b""
                name = f"{hashlib.sha256(data).hexdigest()[:12]}-{Path(member.name).name}"
                place = folder() / archive.name.partition("_")[0] / name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(data)


def decodable() -> Iterator[tuple[Path, bytes, str]]:
    """Each of the files that decodes, once: path, bytes, format."""
    seen = set()
    for path in sorted(folder().rglob("*.*")):
        data = path.read_bytes()
        if path.name[:12] in seen:
            continue
        seen.add(path.name[:12])
        try:
            image = open_image(data, BOUNDS)
            with decoding():
                image.load()
        except ItemError:
            continue
        yield path, data, image.format or ""


def refusals() -> tuple[Counter[str], list[tuple[Path, ItemError]], int]:
    """How many files of each format were looked into, which were refused, how many hidden pictures were found."""
    count, refused, pictures = Counter[str](), list[tuple[Path, ItemError]](), 0
    for path, data, kind in decodable():
        count[kind] += 1
        try:
            pictures += len(inspect(data, kind, BOUNDS).pictures)
            parts(data, BOUNDS)
        except ItemError as error:
            refused.append((path, error))
    return count, refused, pictures


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gather", action="store_true")
    if parser.parse_args().gather:
        gather()
    count, refused, pictures = refusals()
    print(f"{count.total()} files that decode ({dict(count)}), {pictures} pictures in them beside what they show")
    print(f"{len(refused)} refused")
    for path, error in refused:
        print(f"  {path.relative_to(folder())}: {error}")


if __name__ == "__main__":
    main()
