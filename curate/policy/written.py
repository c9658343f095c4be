"""What is written of a picture, wherever a source mentions it."""

from dataclasses import dataclass
from functools import cached_property

from curate.policy.text import spoken


@dataclass(kw_only=True)
class Written:
    """What every mention says: of a sample, and of all that it collapses with, which is one picture.

    Each text once, sorted, one a line where mentions differ; empty where nothing is said. `title` has no namespace,
    `file_name` no folders, `description` holds captions, too. `host` is empty for a local file; `ref` is where sources
    named it, for a local file its path below the source's folder. `depicts` are items of Wikidata (`Q146`).
    """

    title: str = ""
    file_name: str = ""
    description: str = ""
    categories: tuple[str, ...] = ()
    depicts: tuple[str, ...] = ()
    host: str = ""
    license: str = ""
    ref: str = ""

    @cached_property
    def words(self) -> str:
        """Title, file name, description, categories and ref as words in lower case (NFKC, casefold), one space between
        them, and ` | ` between one text and the next: `beach volleyball 2012 | jpg`."""
        each = (self.title, self.file_name, self.description, self.ref)
        texts = [*(line for text in each for line in text.split("\n")), *self.categories]
        return " | ".join(filter(None, (spoken(text).strip() for text in texts)))
