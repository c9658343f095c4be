"""What a model says of files on this machine, one after another, in the order given. Nothing is kept of them."""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from curate.contracts import Engine, Resources
from curate.errors import ItemError, UsageError
from curate.evaluate.bundle import Baseline
from curate.evaluate.decide import Thresholds, thresholds
from curate.features.inspect import FetchedBytes
from curate.layouts.folder import pictures
from curate.media.decode import Bounds
from curate.records import Reason

DIGITS = 6
MOST = 64 * 2**20  # bytes of a file, where nobody says otherwise
Row = dict[str, Any]


def predict(
    model: Baseline, engine: Engine, paths: Iterable[str], bounds: Bounds | None = None, most: int = MOST
) -> Iterator[Row]:
    """A row a file, in order: `path`, and `probabilities` by class with `decision` (safe, review, block), or `reason`
    (of the closed list, docs/sources.md) with `detail` where nobody can say.

    Files are read here, and decoded and judged in the engine's workers.
    """
    limits = thresholds(model.work.folder, model.work.files)
    work = replace(model.work, bounds=bounds or model.work.bounds)
    names: dict[int, str] = {}
    done: dict[int, Row] = {}

    def given() -> Iterator[FetchedBytes]:
        for number, path in enumerate(paths):
            names[number] = path
            try:
                yield FetchedBytes(number, _read(path, most))
            except ItemError as error:
                done[number] = _failed(path, error)

    following = 0
    for item, answer in engine.map(work, given(), Resources()):
        path = names[item.candidate]
        done[item.candidate] = _row(path, answer, model, limits)
        while following in done:
            names.pop(following)
            yield done.pop(following)
            following += 1
    while following in done:
        yield done.pop(following)
        following += 1


def found(paths: Iterable[str], listed: Iterable[str] | None = None) -> Iterator[str]:
    """The files that paths name: themselves, what lies below folders (by suffix or beginning, as a source takes them),
    and for `-` each line of `listed`, where that is given."""
    for path in paths:
        if path == "-" and listed is not None:
            yield from (line for one in listed if (line := one.removesuffix("\n").removesuffix("\r")))
        elif os.path.isdir(path):  # noqa: PTH112 (a name may hold bytes that are no text)
            inner = pictures(path, False, "nothing", lambda kind, name: None)
            yield from (os.path.join(path, one) for one in inner)  # noqa: PTH118
        else:
            yield path


def model_folder(name: str, models: Path | None) -> Path:
    """The folder of a model that is named by its path, or by its name among those of a workspace."""
    own = models / name if models is not None else None
    if own is not None and own.is_dir() and "/" not in name:
        return own
    if Path(name).is_dir():
        return Path(name)
    known = sorted(one.name for one in models.glob("[!.]*")) if models is not None else []
    there = f"; there are: {', '.join(known)}" if known else ""
    raise UsageError(f"model {name}: no such model, and no such folder{there}; `curate train` makes one")


def _read(path: str, most: int) -> bytes:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 (a pipe is not waited for)
            raise ItemError(Reason.UNSUPPORTED_MIME, "no regular file")
        with open(path, "rb") as file:  # noqa: PTH123
            data = file.read(most + 1)
    except (OSError, ValueError) as error:
        raise ItemError(Reason.FILE_MISSING, getattr(error, "strerror", None) or str(error)) from error
    if len(data) > most:
        raise ItemError(Reason.TOO_LARGE, f"more than {most} bytes")
    return data


def _row(path: str, answer: Any, model: Baseline, limits: Thresholds) -> Row:
    if isinstance(answer, ItemError):
        return _failed(path, answer)
    if isinstance(answer, Exception):
        raise answer
    said: Mapping[str, float] = dict(zip(model.classes, answer.tolist(), strict=True))
    risk = sum(p for name, p in said.items() if name not in model.said["safe"])
    shown = {name: round(p, DIGITS) for name, p in said.items()}
    return {"path": path, "probabilities": shown, "decision": limits.decision(risk)}


def _failed(path: str, error: ItemError) -> Row:
    return {"path": path, "reason": str(error.reason), "detail": error.detail}
