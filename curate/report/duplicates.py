"""`curate dedupe --report`: one page of what is near what: the largest groups, how far apart, across which sources."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from curate import __version__
from curate.features import hashes
from curate.media import pdq, phash
from curate.progress import Progress
from curate.records import SPLITS
from curate.report import contact_sheet, html
from curate.report import counts as figures
from curate.report.html import Table, table
from curate.store.blobs import write
from curate.store.catalog import now
from curate.store.eligibility import inactive
from curate.store.workspace import Workspace

NAME = "dedupe.html"
SOURCES = 12  # sources with most samples in groups; the others are counted together
OTHERS = "all others"
MEASURED = 200_000  # samples in groups whose distances are measured; the groups with the smallest names go first
DENSE = 2_000  # members of one group that are compared all with all; of a larger one these with all
Bits = npt.NDArray[np.int64]


def report(ws: Workspace, progress: Progress, clear: bool = False) -> Path:
    """Write `dedupe.html` beside curate.toml and say where it is.

    Pictures are obscured, unless `clear` asks otherwise and the whole workspace is called safe (`sheet.dangers`).
    """
    dangers = contact_sheet.dangers(ws)
    largest = contact_sheet.largest(ws)
    names = [name for one in largest for _, name in one["members"]]
    made = contact_sheet.tiles(ws, names, clear and not dangers, progress)
    groups = _groups(ws)
    facts = {
        "name": figures.about(ws)["name"],
        "tool": __version__,
        "at": now(),
        "dangers": dangers,
        "obscured": bool(dangers) or not clear,
        "figures": figures.duplicates(ws),
        "tables": {
            "sizes": _sizes(groups),
            "sources": _sources(ws, groups),
            "splits": _splits(ws),
        },
        "histograms": _histograms(ws, groups, progress),
        "groups": [
            one | {"members": [made[name] | {"collapsed": collapsed} for collapsed, name in one["members"]]}
            for one in largest
        ],
    }
    path = ws.root / NAME
    write(path, html.render(NAME, facts).encode())
    return path


def _groups(ws: Workspace) -> dict[str, list[str]]:
    """The groups of two samples and more that are not held, by name: ids, sorted."""
    kept_back, found = inactive(ws.catalog), defaultdict(list)
    for sample, name in ws.catalog.iterate("SELECT sample, grp FROM members ORDER BY grp, sample"):
        if sample not in kept_back:
            found[name].append(sample)
    return {name: some for name, some in found.items() if len(some) > 1}


def _sizes(groups: Mapping[str, Sequence[str]]) -> Table:
    """How many groups there are of each size, in powers of two."""
    counts: Counter[int] = Counter(max(1, (len(some) - 1).bit_length()) for some in groups.values())
    rows = [
        [f"{2 ** (power - 1) + 1} to {2**power}" if power > 1 else "2", n, sum(_members_of(groups, power))]
        for power, n in sorted(counts.items())
    ]
    return table("Groups by size", ["Samples in it", "Groups", "Samples"], rows)


def _members_of(groups: Mapping[str, Sequence[str]], power: int) -> list[int]:
    return [len(some) for some in groups.values() if max(1, (len(some) - 1).bit_length()) == power]


def _sources(ws: Workspace, groups: Mapping[str, Sequence[str]]) -> Table:
    """Of each two sources, how many groups have a sample of both; of one with itself, two samples of its own."""
    sql = (
        "SELECT DISTINCT c.sample, m.source FROM mentions m JOIN candidates c USING (candidate)"
        " WHERE c.sample IS NOT NULL"
    )
    of: defaultdict[str, set[str]] = defaultdict(set)
    grouped = {one for some in groups.values() for one in some}
    for sample, source in ws.catalog.iterate(sql):
        if sample in grouped:
            of[sample].add(source)
    common = Counter(source for sources in of.values() for source in sources)
    names = [source for source, _ in sorted(common.items(), key=lambda pair: (-pair[1], pair[0]))[:SOURCES]]
    columns = names + ([OTHERS] if len(common) > len(names) else [])
    pairs: Counter[tuple[str, str]] = Counter()
    for some in groups.values():
        own = Counter(source if source in names else OTHERS for one in some for source in of.get(one, ()))
        pairs.update({(source, source): 1 for source, n in own.items() if n > 1})
        pairs.update(dict.fromkeys(combinations(sorted(own), 2), 1))
    rows = [[a, *(pairs[(min(a, b), max(a, b))] for b in columns)] for a in columns]
    return table(
        "Groups that two sources share", ["", *columns], rows,
        "Where a line crosses its own column: groups with two samples and more of that source.",
    )  # fmt: skip


def _splits(ws: Workspace) -> Table:
    """Samples by the split that they have and the one that their group has."""
    sql = "SELECT split, excluded, count(*) FROM members GROUP BY split, excluded"
    counts: Counter[tuple[str, str]] = Counter()
    for split, excluded, n in ws.catalog.all(sql):
        to = excluded.removeprefix("merged_with_") if excluded and excluded.startswith("merged_with_") else split
        counts[split, to] += n
    rows = [[split, *(counts[split, to] for to in SPLITS)] for split in SPLITS]
    return table(
        "Samples by split, and by the split of their group", ["Has", *(f"Group in {to}" for to in SPLITS)], rows,
        "A sample whose group is in another split was released before the two met: it keeps its split and leaves the"
        " next release.",
    )  # fmt: skip


# -- how far apart ---------------------------------------------------------------------------------------------------


def _histograms(ws: Workspace, groups: Mapping[str, Sequence[str]], progress: Progress) -> list[dict[str, Any]]:
    """Of each sample in a group, the bits to its nearest neighbour in it, by each hash that says something of both."""
    some: list[Sequence[str]] = []
    for members in groups.values():
        if sum(map(len, some)) >= MEASURED:
            break
        some.append(members)
    ids = sorted(one for members in some for one in members)
    at = {one: row for row, one in enumerate(ids)}
    found, turned = hashes.read(ws, ids), hashes.read_pdq(ws, ids)
    config = ws.config.dedupe
    kinds = (
        ("pHash", phash.BITS, config.group_radius, found.phash, found.known & (found.quality >= config.phash_quality)),
        ("PDQ, upright", pdq.BITS, config.pdq_group_radius, turned.hashes[:, 0], turned.tells(config.pdq_quality)),
    )
    made = []
    with progress.stage("measure", len(kinds) * len(some)) as step:
        for name, bits, radius, values, told in kinds:
            nearest: list[int] = []
            for members in some:
                rows = np.array([at[one] for one in members])
                nearest += _nearest(values[rows[told[rows]]]).tolist()
                step()
            made.append(_bars(name, bits, radius, np.array(nearest, dtype=np.int64)))
    return made


def _nearest(values: npt.NDArray[np.uint8]) -> Bits:
    """The bits from each of a group's hashes to the nearest other one; of the first DENSE of a large group."""
    if len(values) < 2:
        return np.empty(0, dtype=np.int64)
    words = np.ascontiguousarray(values).view(np.uint64)
    found = []
    for row in range(min(len(words), DENSE)):
        bits = np.bitwise_count(words[row] ^ words).sum(axis=1, dtype=np.int64)
        bits[row] = 1 << 30
        found.append(int(bits.min()))
    return np.array(found, dtype=np.int64)


def _bars(name: str, bits: int, radius: int, nearest: Bits) -> dict[str, Any]:
    """A histogram up to the radius, in at most 16 bars, and what lies beyond (near by another hash, or by an album)."""
    wide = max(1, -(-(radius + 1) // 16))
    counts = np.bincount(np.minimum(nearest // wide, radius // wide + 1), minlength=radius // wide + 2).tolist()
    most = max([*counts, 1])
    spans = [
        f"{n * wide}" if wide == 1 else f"{n * wide}–{min((n + 1) * wide - 1, radius)}" for n in range(len(counts) - 1)
    ]
    bars = [
        {"span": span, "n": n, "share": 100 * n / most}
        for span, n in zip([*spans, f"over {radius}"], counts, strict=True)
    ]
    return {"name": name, "bits": bits, "n": len(nearest), "bars": bars}
