"""A benchmark from a real wiki, of which 5 % are deleted and 2 % overwritten before somebody fetches it anew."""

from collections import Counter
from pathlib import Path

import pytest

import curate
from curate.project import Project
from tests.evaluate.test_benchmark import MODEL, plain
from tests.support.commonsworld import LICENCE, png
from tests.support.mediawiki import Wiki

N, DELETED, OVERWRITTEN = 100, 5, 2
CONFIG = """
[fetch]
contact = "test@example.org"
allow_private = ["{host}"]
rate = 1000.0
[engine]
use = "serial"
[screening]
required = false
[[labelers]]
use = "declared"
[export]
splits = {{ train = 0.0, val = 0.0, test = 1.0 }}
{sources}
"""
SOURCES = """
[[sources]]
use = "commons"
api = "{api}"
[[sources.categories]]
title = "Category:Measured neutral"
label = "neutral"
[[sources.categories]]
title = "Category:Measured drawings"
label = "drawings"
"""

pytestmark = pytest.mark.soak


def project(root: Path, wiki: Wiki, sources: str = "") -> Project:
    root.mkdir()
    (root / "curate.toml").write_text(CONFIG.format(host=wiki.host, sources=sources))
    (root / "model.toml").write_text(MODEL)
    return curate.open(root, quiet=True)


def test_every_item_that_changed_upstream_is_told_and_nothing_else(wiki: Wiki, tmp_path: Path) -> None:
    names = [f"Measured {n}.png" for n in range(N)]
    kinds = [("neutral", "drawings")[n % 2] for n in range(N)]
    files = {name: (png(5000 + n, (64, 48)), f"[[Category:Measured {kinds[n]}]]") for n, name in enumerate(names)}
    wiki.upload(files)
    wiki.say("metadata", {"*": LICENCE})
    ours = project(tmp_path / "ours", wiki, SOURCES.format(api=wiki.api))
    assert ours.fetch()["stored"] == N
    ours.dedupe(), ours.label(), ours.export("1.0.0")
    model = ours.session.root / "model.toml"
    published = ours.evaluate(model, "1.0.0", publish=True)
    assert published["of"] == N
    for name in names[:DELETED]:
        wiki.delete(f"File:{name}", "a test")
    changed = names[DELETED : DELETED + OVERWRITTEN]
    wiki.upload({name: (png(9000 + n, (64, 48)), files[name][1]) for n, name in enumerate(changed)})

    theirs = project(tmp_path / "theirs", wiki)
    got = theirs.hydrate(published["path"])
    assert got["missing"] == {"hash_mismatch": OVERWRITTEN, "http_404": DELETED}
    found = theirs.evaluate(model, published["path"])
    assert Counter(one["why"] for one in found["items"]) == {"gone": DELETED, "overwritten": OVERWRITTEN}
    assert all(one["page"] for one in found["items"])
    assert found["published"]["all"] == plain(published["figures_of"])
    assert found["published"]["here"] == found["figures_of"]
    assert found["figures_of"]["n"] == N - DELETED - OVERWRITTEN
