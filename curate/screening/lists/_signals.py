"""Signal types as ThreatExchange, NCMEC and StopNCII name them, in terms of what is matched here."""

from collections.abc import Iterator

from curate.records import Algorithm, SkippedRow
from curate.screening.lists._rows import Row, guessed, listed

KINDS: dict[str, Algorithm] = {
    "pdq": "pdq", "imagepdq": "pdq", "hash_pdq": "pdq",
    "md5": "md5", "video_md5": "md5", "videomd5": "md5", "hash_md5": "md5", "hash_video_md5": "md5",
    "sha1": "sha1", "video_sha1": "sha1", "hash_sha1": "sha1",
    "sha256": "sha256", "video_sha256": "sha256", "hash_sha256": "sha256", "hash_video_sha256": "sha256",
}  # fmt: skip
UNMATCHED = frozenset(
    {
        "pdna", "photodna", "hash_photodna", "netclean", "videntifier", "tmk_pdqf", "tmk-pdqf", "videotmk", "hash_tmk",
        "vpdq", "hash_video_pdq", "pdq_ocr", "ssvh_pdna", "ssvh_safer_hash", "ssvh-pdna", "ssvh-safer-hash",
        "text", "raw_text", "text_string", "trend_query", "url", "uri", "raw_uri", "url_md5", "hash_url_md5", "domain",
        "clip", "text_tlsh", "text_tlsh_pdf", "pdf_tlsh",
    }
)  # fmt: skip


def signal(kind: str, value: str, entry: str) -> Iterator[Row]:
    """A value of a named signal type. A type that nobody knows keeps its value, by its length: fail closed."""
    known = kind.strip().lower()
    if known in KINDS:
        yield listed(KINDS[known], value, entry)
    elif known in UNMATCHED:
        yield SkippedRow(entry, known)
    else:
        yield from guessed(value, entry, f"signal type '{known[:30]}' is not known" if known else "no signal type")
