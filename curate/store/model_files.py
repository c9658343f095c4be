"""The folder of a trained model: one file that says which model it is, and the sha256 of every other file in it."""

import errno
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from curate.errors import StoreError
from curate.fingerprint import canonical
from curate.store.blobs import write

PACKAGE, CARD = "model.json", "card.md"
SCHEMA = 1  # raise it when a key changes its meaning
_VERSION = re.compile(r"\d+\.\d+\.\d+(\+.*)?", re.ASCII)  # what a model's folder is called, unless somebody moved it
_WITHDRAWN = (
    "> **Withdrawn.** Something that this model saw was taken down since (receipt {}). Train it again; until then, do"
    " not use it.\n\n"
)
_AGAIN = "put a good copy back, or train again"


def seal(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write `model.json`: `facts` (`model` is its name), and the sha256 of each other file in the folder as it is now.

    Last of all, and again whenever a file was added to a model.
    """
    files = {one.name: _sha256(one.read_bytes()) for one in sorted(folder.iterdir()) if _counts(one)}
    said = {**facts, "schema": SCHEMA, "files": files}
    write(folder / PACKAGE, _text(said | {"sha256": _own(said)}))


def reseal(folder: Path, **facts: Any) -> dict[str, Any]:
    """Seal a model again to which a file was added, with these facts beside those that it has; returns them all."""
    said = {key: value for key, value in _read(folder).items() if key not in ("files", "sha256")} | facts
    seal(folder, said)
    return said


def withdraw(folder: Path, receipt: str) -> bool:
    """Say on a model's card, and in `model.json`, that something it saw was taken down; whether that was not said yet.

    A folder that is no whole model is left as it is: nobody can load it.
    """
    try:
        taken_down = list(_read(folder).get("taken_down", []))
    except StoreError:
        return False
    if receipt in taken_down:
        return False
    text = (folder / CARD).read_text(encoding="utf-8") if (folder / CARD).is_file() else ""
    if receipt not in text:
        write(folder / CARD, (_WITHDRAWN.format(receipt) + text).encode())
    reseal(folder, taken_down=[*taken_down, receipt])
    return True


def withdrawn(said: Mapping[str, Any]) -> list[str]:
    """Of what `checked` gives, a line a receipt: what this model was trained on is not there any more."""
    receipts: list[str] = said.get("taken_down", [])
    return [f"was trained on something that was taken down since (receipt {one}): train it again" for one in receipts]


def checked(folder: Path) -> dict[str, Any]:
    """What `model.json` says, each file that it names having been read and found to be what it was.

    Raises StoreError, naming the file, for one that is missing or has changed by a bit, and for a folder that is called
    by another version than the model that is in it.
    """
    said = _read(folder)
    for name, wanted in said["files"].items():
        file(folder, name, wanted)
    name = folder.resolve().name
    if _VERSION.fullmatch(name) and name != said["model"]:
        raise StoreError(f"{folder}: the model in it is {said['model']}, not {name}; {_AGAIN}")
    return said


def file(folder: Path, name: str, wanted: str) -> bytes:
    """The bytes of a file of a model; raises StoreError where they have another sha256 than is wanted."""
    try:
        data = _bytes(folder / name)
    except OSError as error:
        raise StoreError(f"{folder / name}: {error.strerror}; {PACKAGE} names it: {_AGAIN}") from error
    if _sha256(data) != wanted:
        raise StoreError(f"{folder / name}: not the bytes that {PACKAGE} names (its sha256 is another); {_AGAIN}")
    return data


def _bytes(path: Path) -> bytes:
    """What a file holds; a pipe or a device would be waited for without end."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "no plain file")
    return path.read_bytes()


def _read(folder: Path) -> dict[str, Any]:
    path = folder / PACKAGE
    try:
        data = _bytes(path)
        said = json.loads(data)
        whole = said["sha256"] == _own({key: value for key, value in said.items() if key != "sha256"})
        names = [*said["files"].items(), ("model", said["model"])]
        plain = all(isinstance(one, str) for pair in names for one in pair) and not any("/" in one for one, _ in names)
        schema = said["schema"]
    except FileNotFoundError as error:
        what = "no such folder" if not folder.is_dir() else f"no {PACKAGE} in it, by which a model is told"
        raise StoreError(f"{folder}: not a baseline: {what}; `curate train` makes one") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StoreError(
            f"{path}: not a baseline that this curate can read ({type(error).__name__}: {error})"
        ) from error
    if schema != SCHEMA:
        raise StoreError(f"{path}: of version {schema}, and this curate reads version {SCHEMA}; train again")
    if not (whole and plain) or data != _text(said):
        raise StoreError(f"{path}: not what was written; {_AGAIN}")
    return dict(said)


def _counts(path: Path) -> bool:
    return path.is_file() and path.name != PACKAGE and not path.name.startswith(".")


def _own(said: Mapping[str, Any]) -> str:
    return _sha256(canonical(said).encode())


def _text(said: Mapping[str, Any]) -> bytes:
    return (json.dumps(said, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
