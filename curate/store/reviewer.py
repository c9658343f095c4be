"""Who judges: a name that is kept, and a name that is shown."""

import unicodedata

from curate.errors import UsageError
from curate.store.catalog import Catalog

LENGTH = 64  # characters, at most


def reviewer_name(text: str, option: str = "reviewer") -> str:
    """A person's name as it is kept: NFC, single spaces; raises UsageError for an empty, long or unprintable one."""
    name = " ".join(unicodedata.normalize("NFC", text).split())
    if not name or len(name) > LENGTH or not name.isprintable():
        raise UsageError(f"{option}: {text!r}: give a name of 1 to {LENGTH} printable characters; a pseudonym will do")
    return name


def pseudonym(catalog: Catalog, name: str) -> str:
    """The name under which a reviewer appears on pages: the same in one workspace, another one in the next."""
    return f"r-{catalog.digest('reviewer', name)[:6]}"
