"""A release with its description in Croissant 1.1 (JSON-LD, mlcommons.org/croissant), its RAI fields included."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.records import SPLITS, Manifest
from manifests import _facts as facts
from manifests._files import document, parquet

FILE = "croissant.json"
CONFORMS = ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]
PARQUET = "application/x-parquet"
ROLES = {"train": "cr:TrainingSplit", "val": "cr:ValidationSplit", "test": "cr:TestSplit"}
COLUMNS = {  # docs/releases.md says more
    "id": "sha256 of the picture's bytes, hex",
    "label": "its class on the taxonomy's first axis",
    "probability": "of that label; 1 where people gave it",
    "label_source": "who gave it: human, weak (a label model) or model (a classifier)",
    "weight": "what the row should weigh in training",
    "human_n": "how many people judged this very picture",
    "agreement": "the share of those people who chose the label",
    "votes": "how many people gave each answer, as JSON",
    "split": "train, val or test",
    "group": "its near-duplicate group; no group is in two splits",
    "parent": "the video that a frame is of",
    "at_ms": "where in that video it is, ms",
    "source": "what named it",
    "ref": "where that named it",
    "url": "where it was, without credentials and signatures",
    "upstream": "who it is where it came from, as JSON",
    "license": "its licence, as the source states it",
    "license_url": "the address of that licence",
    "attribution": "whom to name, as the source states it",
    "page_url": "the page that shows it",
    "width": "px, as shown",
    "height": "px, as shown",
    "media_type": "of the bytes",
}
LINKS = ("url", "license_url", "page_url")


@dataclass(frozen=True)
class Croissant:
    """`croissant.json`, and beside it `train.parquet`, `val.parquet`, `test.parquet`, which it describes.

    It says what the release has on record, and of the rest that it is unknown. Who publishes it, when and where, is on
    no record: add `creator`, `datePublished` and `url` before it is published.
    """

    def write(self, release: Manifest, out: Path) -> None:
        """Write the files, then what they are."""
        digests = {f"{split}.parquet": parquet(release.rows[split], out / f"{split}.parquet") for split in SPLITS}
        files = [_file(out / name, sha256) for name, sha256 in digests.items()]
        document(_dataset(release, files), out / FILE)


def _dataset(release: Manifest, files: Sequence[dict[str, Any]]) -> dict[str, Any]:
    version, n = release.version, facts.size(release)
    urls = sorted(facts.counted(release, "license_url"))
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS,
        "name": f"release-{version}",
        "version": version,
        "description": (
            f"Release {version}: {n:,} labelled pictures, their rows without bytes."
            f" {facts.screening(release)} Creator, date and address: {facts.UNKNOWN.lower()}"
        ),
        "license": urls or facts.licences(release),
        "isLiveDataset": False,
        "distribution": list(files),
        "recordSet": [_splits(), _classes(release), *(_rows(release, split) for split in SPLITS)],
    } | {f"rai:{name}": text for name, text in _responsible(release)}


def _file(path: Path, sha256: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": path.name,
        "name": path.name,
        "description": f"The rows of {path.stem}, sorted by id.",
        "contentUrl": path.name,
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": PARQUET,
        "sha256": sha256,
    }


def _splits() -> dict[str, Any]:
    fields = [_field("splits", "name", "sc:Text", "The split."), _field("splits", "url", "sc:URL", "What it is for.")]
    data = [{"splits/name": split, "splits/url": ROLES[split]} for split in SPLITS]
    return _set("splits", "The splits.", fields, "splits/name") | {"dataType": "cr:Split", "data": data}


def _classes(release: Manifest) -> dict[str, Any]:
    axes = release.header.get("taxonomy", {}).get("axes", ())
    safe = set(axes[0]["safe"]) if axes else set()
    fields = [
        _field("classes", "name", "sc:Text", "The class."),
        _field("classes", "safe", "sc:Boolean", "Whether the taxonomy calls it safe."),
    ]
    data = [{"classes/name": one, "classes/safe": one in safe} for one in facts.classes(release)]
    return _set("classes", "The classes of `label`.", fields, "classes/name") | {"data": data}


def _rows(release: Manifest, split: str) -> dict[str, Any]:
    table = release.rows[split]
    fields = []
    for name in table.column_names:
        axis = f"its class on the axis {name.removeprefix('label_')}"
        one = _field(split, name, _type(name, table.schema.field(name).type), COLUMNS.get(name, axis))
        one["source"] = {"fileObject": {"@id": f"{split}.parquet"}, "extract": {"column": name}}
        if name in ("label", "split"):
            one["references"] = {"field": {"@id": f"{'classes' if name == 'label' else 'splits'}/name"}}
        fields.append(one)
    return _set(split, f"The rows of {split}.", fields, f"{split}/id")


def _set(name: str, text: str, fields: Sequence[dict[str, Any]], key: str) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet", "@id": name, "name": name, "description": text, "key": {"@id": key},
        "field": list(fields),
    }  # fmt: skip


def _field(record: str, name: str, kind: str, text: str) -> dict[str, Any]:
    return {"@type": "cr:Field", "@id": f"{record}/{name}", "name": name, "description": text, "dataType": kind}


def _type(name: str, kind: Any) -> str:
    import pyarrow.types as types

    if name in LINKS:
        return "sc:URL"
    return "sc:Integer" if types.is_integer(kind) else "sc:Float" if types.is_floating(kind) else "sc:Text"


def _responsible(release: Manifest) -> Iterator[tuple[str, str]]:
    """The fields of the RAI vocabulary, from what is on record."""
    header = release.header
    sources = facts.counted(release, "source")
    yield "dataCollection", f"Named by {facts.listed(sources)}." if sources else facts.UNKNOWN
    yield "dataCollectionType", "Web scraping, or files of the maker's own; each row's `source` says by what."
    yield "dataCollectionMissingData", facts.left_out(release)
    yield "dataCollectionRawData", "Each picture's bytes, by sha256 (`id`); they are not part of this format."
    yield "dataCollectionTimeframe", facts.UNKNOWN
    yield (
        "dataPreprocessingProtocol",
        f"Of each set of duplicates one was kept. {facts.apart(release)}",
    )
    yield (
        "dataManipulationProtocol",
        "Pictures are as they were fetched; where metadata was taken out, `id` is of the rest.",
    )
    yield "dataImputationProtocol", "Nothing is imputed: what is not known is null."
    yield "dataAnnotationProtocol", facts.labels(release)
    yield "dataAnnotationPlatform", f"{header.get('tool', 'unknown')}: `curate review`, obscured by default."
    yield "dataAnnotationAnalysis", "`agreement` and `votes` of each row that people judged."
    yield "annotationsPerItem", facts.per_item(release)
    yield "annotatorDemographics", facts.UNKNOWN
    yield "machineAnnotationTools", _tools(release)
    yield (
        "personalSensitiveInformation",
        (
            "Pictures may show people. Items whose words suggest minors bear no label that is not safe. No face was"
            " looked for, and nobody was identified."
        ),
    )
    gone = header.get("vanished", ())
    yield "dataBiases", f"Sources declare {', '.join(gone)}, and no row bears it." if gone else facts.UNKNOWN
    yield "dataLimitations", f"{facts.screening(release)} {facts.licences(release)}"
    yield "dataUseCases", "Training and measuring classifiers for content moderation. Other uses: unknown."
    yield "dataSocialImpact", facts.UNKNOWN
    feed = header.get("removals")
    taken = f"Removals are listed in {feed}. " if feed else ""
    yield (
        "dataReleaseMaintenancePlan",
        f"{taken}{len(header.get('removed', ())):,} items of earlier releases are removed.",
    )


def _tools(release: Manifest) -> str:
    """The labelers that a release must speak of, and the functions whose flags keep nothing back."""
    notices = "; ".join(f"{name}: {said}" for name, said in sorted(release.header.get("notices", {}).items()))
    machines = {name: n for name, n in facts.counted(release, "label_source").items() if name != "human"}
    said = f"Labels by machines: {facts.listed(machines)}." if machines else "No label is a machine's."
    return f"{said} {notices}".strip()


_TERMS = (
    "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileObject",
    "fileProperty", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5",
    "parentField", "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate", "separator",
    "source", "subField", "transform",
)  # fmt: skip
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    **{name: f"cr:{name}" for name in _TERMS},
}
