"""What a release says of itself and refuses nothing for: what hosts tell of labels, what lies nearest across splits."""

from typing import TYPE_CHECKING, Any

from curate.features.embeddings import Embeddings, embeddings
from curate.net.urls import hostname
from curate.release.rows import Rows
from curate.stats.cues import WHY_NOT, Asked, Shortcut, enough

if TYPE_CHECKING:
    import numpy as np

    from curate.store.workspace import Workspace

HOSTS = 20_000  # rows that hosts are asked of, the same ones every time
TEST = 20_000  # test rows that are held against train by their embeddings, at most
PRODUCTS = 10**12  # and multiplications
TOP = 20  # pairs that are named
BIN = 0.05  # of the histogram of cosines
SCALE = 4000  # a vector of unit length in whole numbers: sums below 2^24, which float32 has exactly, in any order
CHUNK = 1 << 22  # cosines at a time


# -- hosts -----------------------------------------------------------------------------------------------------------


def host(rows: Rows) -> Shortcut:
    """How well the label can be read from the host that a row's URL names, where a model of hosts never looked."""
    import numpy as np
    import pyarrow as pa

    whole = pa.concat_tables([table.select(["label", "group", "url"]) for table in rows.tables.values()])
    chosen = np.sort(np.random.default_rng(0).permutation(len(whole))[:HOSTS])
    labels, groups, urls = (column.to_pylist() for column in whole.take(chosen).columns)
    known = enough(labels, groups)
    if not known:
        return Shortcut("host", why_not=WHY_NOT)
    kept = [n for n, label in enumerate(labels) if label in known]
    asked = Asked([labels[n] for n in kept], [groups[n] for n in kept])
    return asked.words("host", [hostname(urls[n]) for n in kept])


def about_host(found: Shortcut) -> str | None:
    """A warning with the figure, where the host says much of the label."""
    if not found.found:
        return None
    return (
        f"the host alone {found.verdict} (AUC {found.auc:.2f}, by chance {found.chance:.2f}, over {found.rows} rows):"
        " a classifier may learn sites; mix sources within each class, or test on hosts that train lacks"
    )


# -- embeddings ------------------------------------------------------------------------------------------------------


def nearest(ws: "Workspace", rows: Rows) -> dict[str, Any] | None:
    """How near test lies to train by embeddings, None where no labeler has a table of them.

    `test` rows of `of`, evenly chosen, each against all of `train`: a histogram of the cosine to the nearest one (keys
    are lower ends), and the nearest `top` pairs. Rows without a vector are `unread`. `why_not` where nothing was asked.
    """
    import numpy as np

    ids = {split: rows.tables[split].column("id").to_pylist() for split in ("train", "test")}
    found = embeddings(ws, ws.config, [*ids["train"], *ids["test"]])
    if found is None:
        return None
    n, of = len(ids["train"]), len(ids["test"])
    count = max(1, min(TEST, PRODUCTS // max(1, n * found.shape[1])))
    chosen = np.unique(np.linspace(0, of - 1, min(count, of)).round().astype(np.int64)) if of else np.empty(0, np.int64)
    test, told = _whole_numbers(found[n + chosen])
    best, where, trained = _best(found, test, n)
    facts = {"train": trained, "test": int(told.sum()), "of": of, "unread": int((~told).sum()) + n - trained}
    if not trained or not told.any():
        return facts | {"why_not": "not asked: train or test has no embeddings", "histogram": {}, "top": []}
    if (count := int(told.sum())) > 1 and (test[told] == test[told][0]).all():
        return facts | {"why_not": f"not asked: all {count} test vectors are the same", "histogram": {}, "top": []}
    order = np.lexsort((chosen, -best))[:TOP]
    pairs = [(ids["test"][chosen[at]], ids["train"][where[at]], _cosine(best[at])) for at in order.tolist() if told[at]]
    return facts | {"histogram": _histogram(best[told]), "top": [list(pair) for pair in pairs]}


def _whole_numbers(vectors: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
    """Vectors at unit length times SCALE in whole numbers, float32[n, d], and which have a direction, bool[n]."""
    import numpy as np

    told = np.isfinite(vectors).all(axis=1)
    lengths = np.linalg.norm(np.where(told[:, None], vectors, 0).astype(np.float64), axis=1)
    told &= lengths > 0
    unit = np.where(told[:, None], vectors, 0) / np.where(told, lengths, 1)[:, None]
    return np.rint(unit * SCALE).astype(np.float32), told


def _best(found: Embeddings, test: "np.ndarray", n: int) -> "tuple[np.ndarray, np.ndarray, int]":
    """The largest product of each test vector with one of the first `n`, whose place that is, and how many there are.

    Of several the first one: the answer does not depend on the order of parts.
    """
    import numpy as np

    best, where, trained = np.full(len(test), -np.inf), np.full(len(test), n), 0
    for places, vectors in found.each():
        there = places < n
        whole, told = _whole_numbers(vectors[there])
        mine, whole = places[there][told], whole[told]
        trained += len(mine)
        for at in range(0, len(mine), step := max(1, CHUNK // max(1, len(test)))):
            near = whole[at : at + step] @ test.T
            top = near.max(axis=0)
            first = np.where(near == top, mine[at : at + step, None], n).min(axis=0)
            better = (top > best) | ((top == best) & (first < where))
            best[better], where[better] = top[better], first[better]
    return best, where, trained


def _cosine(product: float) -> float:
    return round(min(1.0, max(-1.0, float(product) / SCALE**2)), 3)


def _histogram(products: "np.ndarray") -> dict[str, int]:
    import numpy as np

    cosines = np.array([_cosine(one) for one in products.tolist()])
    ends, counts = np.unique(np.minimum(np.floor(cosines / BIN + 1e-9), 1 / BIN - 1), return_counts=True)
    return {f"{end * BIN:.2f}": int(count) for end, count in zip(ends.tolist(), counts.tolist(), strict=True)}
