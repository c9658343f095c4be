"""Which files of a folder are pictures, and what is left out of it: one rule for `local` sources and for `check`."""

import os
import unicodedata
from collections.abc import Callable, Iterator
from urllib.parse import quote_from_bytes, unquote_to_bytes

from curate.errors import plain

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jif", ".jfif", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"}
    | {".avif", ".avifs", ".mpo"}
)
_BEGINNINGS = (
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF87a",
    b"GIF89a",
    b"BM",
    b"II*\0",
    b"MM\0*",
    b"II+\0",
    b"MM\0+",
)
TAG, WORKSPACE = "CACHEDIR.TAG", b"a curate workspace"  # the file that marks one, and what it says
UNREADABLE = "folders that cannot be read"  # begins what is said of them
_SNIFFED = 16  # bytes
_URI = "file://"  # begins the text of a path whose bytes are no UTF-8; a plain absolute path begins with "/"


def pictures(root: str, follow: bool, option: str, leave: Callable[[str, str], None]) -> Iterator[str]:
    """Relative names of the picture files below a folder, by suffix; files without one by how they begin.

    What is named like a picture and cannot be opened, such as a link that leads nowhere, is among them.
    `leave(kind, name)` is told of everything else. Links that lead out of the folder are followed only with `follow`;
    `option` is what asks for that.
    Names are `os.fsdecode`d: bytes that are no UTF-8 are surrogates in them.
    """
    base = os.path.realpath(root)
    astray = None if follow else f"links that lead outside ({option} follows them)"
    yield from _walk(base, "", leave, astray, {base})


def text_of(path: str) -> str:
    """A path as text that a catalog can hold: itself, or as a `file:` URI (RFC 8089) where its bytes are no UTF-8."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return _URI + quote_from_bytes(os.fsencode(path))
    return path


def path_of(text: str) -> str:
    """The path that `text_of` made this text of, to be opened by its bytes."""
    return os.fsdecode(unquote_to_bytes(text.removeprefix(_URI))) if text.startswith(_URI) else text


def shown(name: str) -> str:
    """A name as it may be printed: what a terminal would obey, or cannot print, is escaped."""
    return plain(name)


def class_name(folder: str) -> str:
    """A folder's name as the name of a class: composed (NFC), since file systems differ in how they keep accents."""
    return unicodedata.normalize("NFC", shown(folder))


def inside(path: str, base: str) -> bool:
    """Whether a path, links resolved, lies in the folder `base` (resolved already)."""
    real = os.path.realpath(path)
    return real == base or real.startswith(base.rstrip("/") + "/")


def _walk(
    base: str, inner: str, leave: Callable[[str, str], None], astray: str | None, seen: set[str]
) -> Iterator[str]:
    here = os.path.join(base, inner)  # noqa: PTH118 (names may hold bytes that are no text)
    try:
        with os.scandir(here) as found:
            entries = sorted(found, key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        leave(f"{UNREADABLE} ({error.strerror})", inner)
        return
    if any(entry.name == TAG for entry in entries) and _says_workspace(os.path.join(here, TAG)):  # noqa: PTH118
        leave("folders that are the `work` of a curate workspace", inner or ".")
        return
    bare = bool(inner)
    for entry in entries:
        name = f"{inner}/{entry.name}" if inner else entry.name
        if entry.name.startswith("."):
            leave("hidden files", name)
        elif entry.is_symlink() and (why := _stray(entry, base, astray)):
            leave(why, name)
        elif _is_folder(entry):
            bare = False
            if (real := os.path.realpath(entry.path)) in seen:
                leave("links that lead back to a folder seen before", name)
            else:
                seen.add(real)
                yield from _walk(base, name, leave, astray, seen)
        elif _is_picture(entry):
            bare = False
            yield name
        else:
            leave("files that are named like no picture", name)
    if bare:
        leave("folders without a picture", inner)


def _says_workspace(path: str) -> bool:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return WORKSPACE in file.read(512)
    except OSError:
        return False


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _stray(entry: "os.DirEntry[str]", base: str, astray: str | None) -> str | None:
    """Why a link is not followed; None where it is."""
    try:
        entry.stat()
    except OSError:
        named = os.path.splitext(entry.name)[1].lower() in SUFFIXES  # noqa: PTH122
        return None if named else "links that lead nowhere, or to themselves"
    return None if inside(entry.path, base) else astray


def _is_picture(entry: "os.DirEntry[str]") -> bool:
    suffix = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122
    return suffix in SUFFIXES or (not suffix and entry.is_file() and _begins_as_picture(entry.path))


def _begins_as_picture(path: str) -> bool:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            start = file.read(_SNIFFED)
    except OSError:
        return False
    return start.startswith(_BEGINNINGS) or start[8:12] == b"WEBP" or start[4:12] in (b"ftypavif", b"ftypavis")
