"""What a wiki says of one file becomes a candidate, or a note of why it is none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curate.records import MEDIA_TYPES, Candidate, Locator, Note, Upstream
from sources._mediawiki import ODD, plain, table, texts
from sources._tree import MOVED

RENDITION = 960  # px; the width of drawings where originals are asked for
SVG = "image/svg+xml"
DEPICTS = "P180"

# Templates that say something of a file that its licence does not: whose consent, which claim, what is pending.
TEMPLATES = (
    "Personality rights", "Consent", "Trademarked", "Delete", "Speedydelete", "SD", "Copyvio", "No license since",
    "No permission since", "No source since", "Disputed", "Fact disputed",
)  # fmt: skip

_EXTMETADATA = (
    "Artist", "Attribution", "AttributionRequired", "Credit", "DateTimeOriginal", "ImageDescription",
    "LicenseShortName", "LicenseUrl", "NonFree", "Restrictions", "UsageTerms",
)  # fmt: skip
_FACTS = {  # the names of facts that one value of extmetadata gives
    "Artist": "author", "AttributionRequired": "attribution_required", "Credit": "credit",
    "DateTimeOriginal": "taken", "LicenseUrl": "license_url", "NonFree": "non_free", "Restrictions": "restrictions",
    "UsageTerms": "usage_terms",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file was found: by which system, under which label, through which categories; `width` None: originals."""

    system: str
    where: str
    width: int | None
    label: str | None = None
    path: tuple[str, ...] = ()


def query(width: int | None) -> dict[str, str]:
    """The parameters that make a listing of pages say of each what `candidate` reads."""
    return {
        "action": "query",
        "prop": "info|imageinfo|categories|templates",
        "iiprop": "url|size|mime|sha1|timestamp|user|extmetadata|badfile",
        "iiurlwidth": str(width or RENDITION),
        "iiextmetadatafilter": "|".join(_EXTMETADATA),
        "iiextmetadatamultilang": "1",
        "clshow": "!hidden",
        "cllimit": "max",
        "tltemplates": "|".join(f"Template:{name}" for name in (MOVED, *TEMPLATES)),
        "tllimit": "max",
    }


def candidate(page: Mapping[str, Any], place: Place, entity: Mapping[str, Any] | None = None) -> Candidate | Note:
    """A page as the API gives it (formatversion 2) and its structured data, where the wiki has any.

    One that is not as documented costs itself: a note.
    """
    try:
        return _candidate(page, place, table(entity))
    except ODD as error:
        return Note("skipped", str(page.get("title", "?")), f"not as documented: {type(error).__name__}")


def _candidate(page: Mapping[str, Any], place: Place, entity: Mapping[str, Any]) -> Candidate | Note:
    title = page["title"]
    info: Mapping[str, Any] = next(iter(page.get("imageinfo", ())), {})
    if page.get("redirect"):
        return Note("skipped", title, "redirect")
    if not info.get("url") or not info.get("sha1"):
        return Note("skipped", title, "file_missing")
    if (mime := info["mime"]) not in (*MEDIA_TYPES, SVG):
        return Note("skipped", title, mime)
    whole = place.width is None and mime != SVG
    if not (url := info["url"] if whole else info.get("thumburl")):
        return Note("skipped", title, "no_rendition")
    original = _same(url, info["url"])
    said = {name: table(one).get("value") for name, one in table(info.get("extmetadata")).items()}
    return Candidate(
        locator=Locator("url", url),
        ref=f"{place.where} > {title}",
        label=place.label,
        upstream=Upstream(
            system=place.system,
            page_id=str(page["pageid"]),
            title=title,
            sha1=info["sha1"],
            timestamp=info["timestamp"],
            width=info["width"] if original else info.get("thumbwidth"),
        ),
        license=_one(said, "LicenseShortName"),
        attribution=_one(said, "Attribution") or _one(said, "Artist") or _one(said, "Credit"),
        sha1=info["sha1"] if original else None,
        facts=_facts(page, info, said, entity)
        | ({"bytes": str(info["size"])} if original else {})
        | ({"category_path": place.path} if place.path else {})
        | ({"page_url": info["descriptionurl"]} if isinstance(info.get("descriptionurl"), str) else {}),
    )


def _same(url: str, original: str) -> bool:
    """True where a rendition is the original: the API gives that where no smaller picture can be made."""
    return url.partition("?")[0] == original.partition("?")[0]


def _facts(
    page: Mapping[str, Any], info: Mapping[str, Any], said: Mapping[str, Any], entity: Mapping[str, Any]
) -> dict[str, str | tuple[str, ...]]:
    """What is known of the file beside its identity and licence; what is not known is not there."""
    one: dict[str, str | None] = {fact: _one(said, name) for name, fact in _FACTS.items()}
    one |= {
        "revision": str(page["lastrevid"]) if "lastrevid" in page else None,
        "uploader": info.get("user"),
        "badfile": "true" if page.get("badfile") else None,
        "license_missing": None if _one(said, "LicenseShortName") else "true",  # which is not: free
    }
    many = {
        "description": [plain(text, hidden=True) for text in texts(said.get("ImageDescription"))],
        "captions": [label["value"] for label in table(entity.get("labels")).values()],
        "categories": [_name(item["title"]) for item in page.get("categories", ())],
        "templates": [_name(item["title"]) for item in page.get("templates", ())],
        "depicts": _depicts(entity),
    }
    kept = {name: tuple(dict.fromkeys(filter(None, values))) for name, values in many.items()}
    return {k: v for k, v in one.items() if v} | {k: v for k, v in kept.items() if v}


def _depicts(entity: Mapping[str, Any]) -> Sequence[str]:
    """The items that the file is said to depict (Q146), but for statements that were deprecated."""
    statements = table(entity.get("statements")).get(DEPICTS, ())
    values = [s["mainsnak"].get("datavalue", {}).get("value", {}) for s in statements if s["rank"] != "deprecated"]
    return [value["id"] for value in values if "id" in value]


def _one(said: Mapping[str, Any], name: str) -> str | None:
    found = texts(said.get(name))
    return (plain(found[0]) or None) if found else None


def _name(title: str) -> str:
    return title.partition(":")[2]
