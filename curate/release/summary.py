"""What a release holds, counted, and what its screening says: for its datasheet and its section of the report page."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from curate.records import SPLITS, Manifest
from curate.stats.intervals import half_width

if TYPE_CHECKING:
    import pyarrow as pa

WIDE = 0.1  # half of a test interval: past it, a class is too small in test to say much
Crossed = list[tuple[str, Mapping[str, int]]]  # a value, and how many rows of each split have it


def summary(release: Manifest) -> dict[str, Any]:
    """Rows by split and each of class, source, licence and who gave the label; the borderline slice; thin classes."""
    borderline = release.header["taxonomy"]["axes"][0]["borderline"]
    by = {name: _crossed(release, name) for name in ("label", "source", "license", "label_source")}
    return {
        "rows": {split: release.rows[split].num_rows for split in SPLITS},
        "by": by,
        "borderline": {
            "classes": [name for name, _ in by["label"] if name in borderline],
            "by_label_source": _crossed(release, "label_source", borderline),
        },
        "thin": thin(release.rows),
    }


def _crossed(release: Manifest, column: str, classes: Sequence[str] | None = None) -> Crossed:
    import pyarrow as pa

    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for split in SPLITS:
        values, labels = (release.rows[split].column(name) for name in (column, "label"))
        pairs = pa.table({"value": values, "label": labels, "rows": labels}).group_by(["value", "label"])
        for row in pairs.aggregate([("rows", "count")]).to_pylist():
            if classes is None or row["label"] in classes:
                found["none" if row["value"] is None else str(row["value"])][split] += row["rows_count"]
    return sorted(found.items())


def thin(rows: "Mapping[str, pa.Table]") -> list[dict[str, Any]]:
    """Classes of which test has so few near-duplicate groups that a figure's 95 % interval is wider than 2 * WIDE.

    Each with its rows and groups in test, and half the width of Wilson's interval at one half, where it is widest.
    """
    classes = sorted({one for table in rows.values() for one in table.column("label").unique().to_pylist()})
    test = rows["test"]
    count = Counter(test.column("label").to_pylist())
    pairs = test.select(["label", "group"]).group_by(["label", "group"]).aggregate([])
    apart = Counter(pairs.column("label").to_pylist())
    found = [
        {"class": name, "rows": count[name], "groups": apart[name], "half_width": half_width(apart[name])}
        for name in classes
    ]
    return [one for one in found if one["half_width"] > WIDE]


def screened(header: Mapping[str, Any]) -> list[str]:
    """What the screening of a release says and does not say, in sentences."""
    said = header["screening"]
    names = [f"{one['name']} of {one['provider']}" for one in (*said["lists"], *said["matchers"])]
    if not names:
        return [
            "Screening was off: no hash list was in force, so nothing was held against known illegal material.",
            "Nothing is known of what is in it.",
        ]
    found = [
        f"Held against {', '.join(names)}; PDQ within {said['pdq_radius']} bits.",
        f"{said['matched']:,} files have ever matched, and are in no release.",
    ]
    if said["unscreened"]:
        found.append(f"{said['unscreened']:,} rows were not asked about of one of these.")
    if said["unknown"]:
        found.append(f"Of {said['unknown']:,} rows nobody knows which lists they were held against.")
    if not said["healthy"]:
        found.append("Screening could not answer in full when this was made.")
    return [
        *found,
        "A list knows what was reported to it: that nothing else matched does not say that nothing illegal is in it.",
    ]
