"""The text that tells people how to judge, and its version, which goes with every decision."""

import hashlib
from dataclasses import dataclass

from curate.errors import UsageError
from curate.records import Taxonomy


@dataclass(frozen=True, slots=True)
class Guideline:
    """The text (Markdown; empty where none is configured), and a digest of it, None where there is none."""

    text: str = ""
    version: str | None = None


def guideline(taxonomy: Taxonomy) -> Guideline:
    """The guideline that the taxonomy names; raises UsageError where it cannot be read."""
    if taxonomy.guideline is None:
        return Guideline()
    try:
        data = taxonomy.guideline.read_bytes()
        return Guideline(data.decode("utf-8"), hashlib.sha256(data).hexdigest()[:12])
    except OSError as error:
        raise UsageError(f"taxonomy.guideline: {taxonomy.guideline}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"taxonomy.guideline: {taxonomy.guideline}: not a text in UTF-8") from error
