"""What happened to everything that the demo's web served, held against what it is known to be."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.config import CONFIG_NAME
from curate.contracts import Labeler
from curate.demo.web import STORED, Truth
from curate.errors import UsageError
from curate.features.scores import read
from curate.label import table as weak_table
from curate.stats.metrics import against, right_of
from curate.store import eligibility
from curate.store.blobs import write
from curate.store.workspace import Workspace, check_place
from curate.train.crossval import grouped_cross_validation

MARK = "# Made by `curate demo`; the next demo in this folder starts afresh.\n"
CONFIG = """
[[taxonomy.axes]]
classes = ["drawings", "neutral"]
safe = ["drawings", "neutral"]
borderline = []

[fetch]
contact = "curate-demo@localhost"      # goes into the User-Agent
allow_private = ["{authority}"]   # the demo's own server; any other private address is refused

[screening]
required = false                       # possible only because both classes are safe; the release says so

[[sources]]
use = "urllist"
path = "raw_data"
album = "folder"                       # what was published in one folder shares a split

[[labelers]]
use = "open_nsfw"

[[labelers]]
use = "drawing"                        # `declared` is left out: the weak labels are the machine's own

[[labelers]]
use = "efficientnet_lite0"             # what [label] bootstrap, and the baseline, learn from

[[labelers]]                           # these have nothing to vote for where both classes are safe
use = "words"

[[labelers]]
use = "quality"

[label]
model = "auto"
"""


def check_folder(folder: Path) -> None:
    """Raise UsageError for a folder that holds something else than an earlier demo."""
    check_place(folder)
    config = folder / CONFIG_NAME
    ours = config.is_file() and config.read_text(encoding="utf-8").startswith(MARK)
    if not ours and folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder}: not empty, and not made by `curate demo`; name another folder")


def prepare(folder: Path, authority: str) -> None:
    """A fresh demo folder; raises UsageError as `check_folder` does."""
    import shutil

    check_folder(folder)
    if (folder / CONFIG_NAME).exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / CONFIG_NAME, (MARK + CONFIG.format(authority=authority)).encode())


@dataclass(frozen=True)
class Demo:
    """A finished demo: its workspace, what each URL is, and which pairs were planted as near-duplicates."""

    ws: Workspace
    truth: Mapping[str, Truth]
    pairs: Sequence[tuple[str, str]]

    def account(self) -> dict[str, Any]:
        """Every figure that the demo promises."""
        fates = self.fates()
        return {
            "candidates": len(self.truth),
            "accounted": sum(self.truth[url].expected == fate for url, fate in fates.items()),
            "near_pairs": len(self.pairs),
            "near_pairs_grouped": self.grouped_pairs(),
            "photographs_mixed": self.mixed_photographs(),
            "groups_across_splits": self.split_groups(),
            "weak": self.weak_labels(),
        }

    def fates(self) -> dict[str, str]:
        """How each candidate ended: `stored` or the reason."""
        rows = self.ws.catalog.all("SELECT locator, coalesce(reason, state) FROM candidates")
        return {row[0]: row[1] for row in rows}

    def by_kind(self) -> list[tuple[str, str, int, int]]:
        """(kind, expected end, how many, how many ended so), for every kind of URL."""
        fates = self.fates()
        counts: Counter[tuple[str, str]] = Counter()
        right: Counter[tuple[str, str]] = Counter()
        for url, one in self.truth.items():
            counts[one.kind, one.expected] += 1
            right[one.kind, one.expected] += fates.get(url) == one.expected
        return [(kind, expected, n, right[kind, expected]) for (kind, expected), n in sorted(counts.items())]

    def grouped_pairs(self) -> int:
        """How many planted pairs are in one group."""
        groups = self._by_url("grp")
        return sum(groups[a] == groups[b] for a, b in self.pairs if a in groups and b in groups)

    def mixed_photographs(self) -> int:
        """How many groups hold crops of two photographs or more."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for url, group in self._by_url("grp").items():
            one = self.truth[url]
            if one.label == "neutral":
                origin = one.origin or url
                found[group].add(origin.rpartition("/")[0])
        return sum(len(photographs) > 1 for photographs in found.values())

    def split_groups(self) -> int:
        """How many groups are in two splits of the catalog."""
        rows = self.ws.catalog.all("SELECT grp FROM members GROUP BY grp HAVING count(DISTINCT split) > 1")
        return len(rows)

    def weak_labels(self) -> dict[str, Any]:
        """The weak labels of the survivors against the class that they are by provenance."""
        labels = self.survivors()
        known = self.labels()
        found = {sample: label for sample, label in labels.items() if label is not None}
        right = sum(known[sample] == label for sample, label in found.items())
        return {
            "n": len(labels),
            "labelled": len(found),
            "accuracy": round(right / len(found), 4) if found else None,
            "accuracy_of_all": round(right / len(labels), 4) if labels else None,
        }

    def survivors(self) -> dict[str, str | None]:
        """The weak label of every survivor."""
        weak = weak_table.read(self.ws, self.ws.config.taxonomy.first)
        found = dict(zip(weak.ids, weak.labels, strict=True)) if weak else {}
        return {one: found.get(one) for one in eligibility.survivors(self.ws.catalog)}

    def labels(self) -> dict[str, str]:
        """The class of every sample by provenance."""
        rows = self.ws.catalog.all("SELECT locator, sample FROM candidates WHERE sample IS NOT NULL")
        return {row[1]: self.truth[row[0]].label for row in rows}

    def cross_validated(self, backbone: Labeler) -> dict[str, Any]:
        """The baseline by 5-fold grouped cross-validation on the survivors, labelled by provenance."""
        known = self.labels()
        groups = {row[0]: row[1] for row in self.ws.catalog.all("SELECT sample, grp FROM members")}
        ids = sorted(self.survivors())
        features = read(self.ws, backbone, ids)["embedding"]
        return grouped_cross_validation(features, [known[i] for i in ids], [groups[i] for i in ids])

    def _by_url(self, column: str) -> dict[str, str]:
        sql = f"SELECT c.locator, m.{column} FROM candidates c JOIN members m ON m.sample = c.sample"  # noqa: S608
        return {row[0]: row[1] for row in self.ws.catalog.all(sql)}


def tables(demo: Demo, account: Mapping[str, Any], folds: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the demo shows on the terminal and in the report."""
    weak, overall = account["weak"], folds["overall"]
    figures = [
        ("candidates accounted for as expected", f"{account['accounted']} of {account['candidates']}"),
        ("planted near-duplicate pairs in one group", f"{account['near_pairs_grouped']} of {account['near_pairs']}"),
        ("groups that mix two photographs", str(account["photographs_mixed"])),
        ("groups in two splits", str(account["groups_across_splits"])),
        ("weak labels against provenance", f"{weak['accuracy']} of {weak['labelled']} labelled (n = {weak['n']})"),
        ("baseline against provenance, 5-fold grouped cross-validation", f"{overall['accuracy']} (n = {overall['n']})"),
    ]
    kinds = [(kind, end, n, right) for kind, end, n, right in demo.by_kind()]
    return [
        {"title": "What was served, and how it ended", "columns": ["what", "must end as", "candidates", "ended so"],
         "rows": kinds, "note": f"`{STORED}` or a reason of the closed list"},
        {"title": "What the demo promises", "columns": ["promise", "figure"], "rows": figures, "note": ""},
    ]  # fmt: skip


def summary(shown: Sequence[Mapping[str, Any]], result: Mapping[str, Any]) -> list[str]:
    """The demo's last words on the terminal: tables, the baseline's test figures, and where to look."""
    lines: list[str] = []
    for table in shown:
        rows = [tuple(str(cell) for cell in row) for row in (table["columns"], *table["rows"])]
        widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
        lines += ["", table["title"], ""]
        lines += ["  " + "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        lines += ["", f"  {table['note']}"] if table["note"] else []
    test, release = result["train"]["test"], result["export"]
    right, interval = right_of(test)
    low, high = interval or (None, None)
    lines += [
        "",
        f"Release 1.0.0: {', '.join(f'{n} {split}' for split, n in release['rows'].items())}; {release['path']}",
        f"What its gates looked at: {'; '.join(f'{name} {said}' for name, said in release['gates'].items())}",
        f"Baseline on its test split, {against(test)}: {right} (95 % interval {low} to {high}),"
        f" ROC-AUC {test['roc_auc']}, average precision {test['average_precision']}; {result['train']['path']}",
        f"Open {result['report']}",
    ]
    return lines
