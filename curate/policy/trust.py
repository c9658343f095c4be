"""Whose files are obeyed: what is run, or names what is run, must not be another user's; git holds it so with hooks."""

import os
import stat
from pathlib import Path

from curate.errors import UsageError

VARIABLE = "CURATE_TRUST"  # folders, separated as in PATH, whose files are obeyed whoever owns them


def check(path: Path, like: Path | None = None) -> None:
    """Raise UsageError where somebody else could have written this file or folder.

    It must belong to the caller, to root, to who called sudo, or to the owner of `like`, and neither it nor its folder
    may be writable for everybody; a folder in which only owners may remove files (sticky) is as good as one's own, and
    so is one's group.
    """
    if not hasattr(os, "getuid") or _named(path):
        return
    for one in {path.absolute(), Path(os.path.realpath(path))}:
        for place in (one, one.parent):
            _judge(path, place, place == one, _ours() | ({like.stat().st_uid} if like is not None else set()))


def _judge(asked: Path, place: Path, itself: bool, owners: set[int]) -> None:
    try:
        known = place.stat()
    except OSError:
        return  # what is not there is not obeyed
    folder = stat.S_ISDIR(known.st_mode)
    if itself and known.st_uid not in owners:
        problem = f"it belongs to another user (uid {known.st_uid})"
    elif known.st_mode & stat.S_IWOTH and not (folder and known.st_mode & stat.S_ISVTX):
        problem = f"everybody may write to {'it' if itself else 'its folder'}"
    else:
        return
    raise UsageError(
        f"{asked}: {problem}, and it says what is run here. Make it yours alone (chown, chmod o-w), or name a folder"
        f" above it in the environment variable {VARIABLE}"
    )


def _ours() -> set[int]:
    sudo = os.environ.get("SUDO_UID", "")
    return {0, os.getuid()} | ({int(sudo)} if sudo.isdecimal() and os.getuid() == 0 else set())


def _named(path: Path) -> bool:
    folders = [os.path.realpath(one) for one in os.environ.get(VARIABLE, "").split(os.pathsep) if one]
    return any(Path(os.path.realpath(path)).is_relative_to(folder) for folder in folders)
