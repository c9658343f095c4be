"""Signatures in minisign's format: of each exported folder's `SHA256SUMS`, and of the removals feed.

Whoever has `minisign` can check them: `minisign -Vm SHA256SUMS -p minisign.pub`. Source: https://jedisct1.github.io/minisign
"""

import io
import logging
import os
import re
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from curate.errors import GateError, UsageError
from curate.layouts.exported import FEED, SUMS
from curate.store import chain
from curate.store.blobs import write
from curate.store.file_digests import is_as_kept

if TYPE_CHECKING:
    from minisign import SecretKey

    from curate.store.workspace import Workspace

SUFFIX = ".minisig"
PASSWORD = "CURATE_SIGNING_PASSWORD"  # noqa: S105 (the variable that holds it)
_MOST = 1 << 16  # bytes of a key or a signature
_FEED = re.compile(r"(?:^| )feed:([0-9a-f]{32})(?= |$)")  # in what is signed with a release

log = logging.getLogger(__name__)


# -- who makes releases ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Signer:
    """A secret key that is open."""

    secret: "SecretKey"

    @property
    def public(self) -> str:
        """Its public key, as a line of base64."""
        return str(self.secret.get_public_key().to_base64(), "ascii")

    @property
    def public_file(self) -> bytes:
        """The same as a file that minisign reads."""
        return bytes(self.secret.get_public_key()) + b"\n"

    def sign(self, path: Path, said: str) -> None:
        """Write the signature of a file beside it; `said`, in printable ASCII, is signed with it. The same file and
        words have the same signature."""
        with path.open("rb") as file:
            found = self.secret.sign(file, trusted_comment=said, untrusted_comment="signed by curate")
        write(signature_of(path), bytes(found) + b"\n")


def signature_of(path: Path) -> Path:
    """Where the signature of a file lies."""
    return path.with_name(path.name + SUFFIX)


def signer(path: Path | None) -> Signer | None:
    """The secret key in a file; None where none is named. Raises UsageError where it cannot be used."""
    if path is None:
        return None
    from minisign import Error, SecretKey

    try:
        found = SecretKey.from_bytes(_read(path))
        if found.is_encrypted():
            if PASSWORD not in os.environ:
                raise UsageError(f"export.signing_key: {path} has a password; {PASSWORD} is to hold it")
            found.decrypt(os.environ[PASSWORD])
        found.sign(b"")
    except (Error, ValueError) as error:
        raise UsageError(
            f"export.signing_key: {path} is no secret key of minisign's that can be used: {error}"
        ) from error
    except OSError as error:
        raise UsageError(f"export.signing_key: {path}: {error.strerror}") from error
    return Signer(found)


def of(ws: "Workspace") -> Signer | None:
    """The one that a workspace names; raises UsageError as `apart` does."""
    return apart(ws.config.export.signing_key, ws.work)


def apart(path: Path | None, work: Path) -> Signer | None:
    """As `signer`; raises UsageError, too, for a file that lies where what is handed on does."""
    if path is not None and Path(os.path.realpath(path)).is_relative_to(os.path.realpath(work)):
        raise UsageError(
            f"export.signing_key: {path} lies in {work.name}/, as all that is handed on does; move it elsewhere"
        )
    return signer(path)


def at_hand(ws: "Workspace") -> Signer | None:
    """The same; None, and a warning, where it cannot be used: nothing that must go waits for a key."""
    try:
        return of(ws)
    except UsageError as error:
        log.warning(
            "%s; what changed is not signed now: `curate verify --repair` signs it once the key is there", error
        )
        return None


def feed_of(ws: "Workspace") -> str:
    """What the feed of a workspace's removals is called, in its first line and with each release's signature: 32 hex
    digits, the same for all of its releases."""
    place = f"exports/{FEED}"
    lines = chain.records(ws.work / place) if is_as_kept(ws, place) else []
    return str(lines[0]["feed"]) if lines and "feed" in lines[0] else ws.catalog.digest("feed", FEED)[:32]


def comment(version: str, feed: str) -> str:
    """What is signed with an exported folder's list of files."""
    return f"file:{SUMS} release:{version} feed:{feed}"


def new(path: Path) -> str:
    """Make a key: the secret one in a new file that only its owner reads, with the password that is in the environment,
    if one is; the public one beside it, in `.pub`. Gives the public one. Raises UsageError where one of them is there.
    """
    from minisign import KeyPair

    if not path.name:
        raise UsageError(f"{path}: no name of a file")
    public, pair = path.with_name(f"{path.name}.pub"), KeyPair.generate()
    said = bytes(pair.public_key) + b"\n"
    if has_password():
        pair.secret_key.encrypt(os.environ[PASSWORD])
    with ExitStack() as half:  # of a pair nothing stays where the other half cannot be written
        for one, text, mode in ((path, bytes(pair.secret_key) + b"\n", 0o600), (public, said, 0o644)):
            try:
                with os.fdopen(os.open(one, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                    half.callback(one.unlink)
                    file.write(text)
            except FileExistsError:
                raise UsageError(f"{one}: a file is there, and no key is overwritten; name a new file") from None
            except OSError as error:
                raise UsageError(f"{one}: {error.strerror}") from error
        half.pop_all()
    return str(pair.public_key.to_base64(), "ascii")


def has_password() -> bool:
    """Whether the environment has a password for a new key."""
    return bool(os.environ.get(PASSWORD))


# -- who was given one -----------------------------------------------------------------------------------------------


def public_key(given: str) -> str:
    """A public key, from its line of base64 or a file that holds it; raises UsageError for what is none."""
    from minisign import Error, PublicKey

    try:
        if not Path(given).is_file():
            return str(PublicKey.from_base64(given).to_base64(), "ascii")
        return str(PublicKey.from_bytes(_read(Path(given))).to_base64(), "ascii")
    except (Error, ValueError) as error:
        raise UsageError(f"{given!r} is no public key of minisign's, and no file that holds one: {error}") from error
    except OSError as error:
        raise UsageError(f"{given}: {error.strerror}") from error


class Signed(NamedTuple):
    """What is in a file that is signed, and what was said with it."""

    data: bytes
    said: str

    @property
    def feed(self) -> str | None:
        """The feed of removals that a release was signed with; None where that is not said: it was signed before that
        was, or by another tool."""
        found = _FEED.search(self.said)
        return found[1] if found else None


def check(path: Path, key: str, name: str) -> Signed:
    """What is in a file, called `name`, that is signed by the public key: its own bytes may be others by then. Raises
    GateError where it is not."""
    from minisign import Error, PublicKey, Signature

    known = PublicKey.from_base64(key)
    try:
        found, data = Signature.from_bytes(_read(signature_of(path))), _read(path, None)
        known.verify(io.BytesIO(data), found)
        return Signed(data, found.trusted_comment)
    except FileNotFoundError:
        raise GateError(f"{name} is not signed by {key}: {SUFFIX} lacks, and nothing is fetched") from None
    except (Error, ValueError, OSError) as error:
        raise GateError(f"{name} is not signed by {key} ({error}), and nothing is fetched") from error


def is_signed(path: Path, key: str) -> bool:
    """The same, without a word."""
    try:
        check(path, key, path.name)
    except GateError:
        return False
    return True


def _read(path: Path, most: int | None = _MOST) -> bytes:
    """The bytes of a plain file: whatever else bears its name may have no end."""
    if path.exists() and not path.is_file():
        raise ValueError("no plain file")
    with path.open("rb") as file:
        found = file.read() if most is None else file.read(most + 1)
    if most is not None and len(found) > most:
        raise ValueError("too large")
    return found
