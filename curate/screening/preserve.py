"""Policy `preserve`: what matched, sealed to the operator's public key, so that this tool cannot read it any more.

A file is a NaCl sealed box (X25519, XSalsa20-Poly1305) around one line of JSON, which says what it is, and the bytes.
`docs/screening.md` says how the holder of the secret key opens it.
"""

import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from curate.errors import UsageError
from curate.store.blobs import sync, write

FOLDER = "sealed"
KEY_BYTES = 32


def public_key(text: str) -> bytes:
    """An X25519 public key in hex or base64; raises UsageError."""
    import base64
    import binascii

    try:
        key = bytes.fromhex(text) if len(text) == 2 * KEY_BYTES else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != KEY_BYTES:
        raise UsageError("screening.public_key: not an X25519 public key (32 bytes, in hex or base64)")
    return key


def seal(work: Path, key: bytes, facts: Mapping[str, object], body: bytes) -> str:
    """Write the sealed file, durably, and give its name; nothing but the sealed form ever reaches the disk."""
    from nacl.public import PublicKey, SealedBox

    folder = work / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    name = f"{secrets.token_hex(8)}.sealed"
    head = json.dumps(facts, sort_keys=True, ensure_ascii=False).encode() + b"\n"
    write(folder / name, bytes(SealedBox(PublicKey(key)).encrypt(head + body)))
    return name


def expiry(days: int) -> str:
    """The date, in UTC, from which a file that is sealed now is removed."""
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


def sweep(work: Path, expires: Mapping[str, str], strays: bool) -> list[str]:
    """Remove the files whose day has come, with `strays` also those that no incident names; their names.

    A killed run leaves strays, and a run at work makes them: they go only where nobody else can be at work.
    """
    folder, today, gone = work / FOLDER, datetime.now(UTC).date().isoformat(), []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if expires[path.name] <= today if path.name in expires else strays:
            path.unlink()
            gone.append(path.name)
    if gone:
        sync(folder)
    return gone
