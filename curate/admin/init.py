"""`curate init`: a commented curate.toml to start from."""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from curate.admin import configured
from curate.config import CONFIG_NAME, parse
from curate.errors import UsageError
from curate.store.blobs import write

Tables = Sequence[Mapping[str, Any]]
_BARE = re.compile(r"[A-Za-z0-9_-]+")  # keys that need no quotes
_BEFORE = "# [dedupe]\n"  # what sources are written before
_LISTS = "# [[screening.matchers]]\n"  # what screening lists are written before
_EXAMPLES = {
    "sources": '{"use": "local", "path": "images"}',
    "screening.lists": '{"use": "lines", "path": "lists/mine.txt", "provider": "self"}',
}
TEMPLATE = """\
# What curate does here. Everything has a default; unknown keys are refused. Paths are relative to this file.

# [taxonomy]
# version = "1"                       # goes with every decision and every release
# guideline = "guideline.md"          # how people judge; a digest of it goes with every decision
# [[taxonomy.axes]]
# name = "content"
# classes = ["drawings", "hentai", "neutral", "porn", "sexy"]
# safe = ["drawings", "neutral"]      # every other class, and no class, gets every precaution
# borderline = ["sexy"]

[fetch]
# contact = "you@example.org"         # goes into the User-Agent; no contact, no fetch from the network

# [fetch.tokens]
# "commons.wikimedia.org" = "COMMONS_TOKEN"    # the name of an environment variable, never a token

# [run]                               # what one run may cost; the rest waits for the next one
# max_minutes = 360
# max_items = 50000
# api_calls_per_hour = 400            # counted across runs

[screening]
# No list, no fetch. Where every class of every source is safe, `required = false` is possible, and recorded.
required = true
# [[screening.lists]]
# use = "lines"                       # lines | tx_csv | tx_local | threatexchange | ncmec | stopncii
# path = "lists/mine.txt"
# provider = "self"                   # who vouches for it
# [[screening.matchers]]
# use = "shield"                      # shield | hma: remote services; they get hashes, never bytes

# Where media come from: one table or several; without one there is nothing to fetch.
# [[sources]]
# use = "urllist"
# path = "raw_data"                   # raw_data/<class>/urls_<class>.txt, or one .txt file with `label = "neutral"`

# [[sources]]
# use = "local"
# path = "images"                     # images/<class>/...
# label_from = "folder"

# [dedupe]
# orientations = false                # do not look for mirrored and turned copies
# borders = false                     # nor for what has a border, a letterbox's bars or a page around it
# embeddings = "efficientnet_lite0"   # also find crops: all with all, for tens of thousands of samples

[[labelers]]
use = "declared"                      # the class that a source declares, as one vote

[[labelers]]
use = "open_nsfw"

[[labelers]]
use = "drawing"

[[labelers]]
use = "nsfwjs"                        # the five classes
embedding = false                     # true: 1,792 numbers a sample (3.6 KB), for [label] bootstrap and queues

[[labelers]]
use = "words"                         # titles, captions, categories

# [[queues]]
# use = "audit"                       # uncertain, suspect, conflict, gold, audit; a table only where it has options
# strata = 5
# [review]
# double = 0.1                        # of a queue, judged by two people; gold = 0.05: the answer is known
# max_minutes = 45                    # then nothing more is shown for pause_minutes = 10; max_reveals = 60 originals

# [label]
# functions = ["mine.py"]             # labelling functions of your own; docs/labels.md
# bootstrap = false                   # no classifier on embeddings as the last step; docs/labels.md
# advise = ["open_nsfw"]              # what it finds not safe is kept back no more, once 300 audited decisions say so

# [train]
# backbone = "efficientnet_lite0"     # or nsfwjs, open_nsfw, onnx, timm:resnet50; docs/baseline.md
# augment = ["crop", "flip"]          # learn from altered pictures, too: also rotate, colour, jpeg, erase
# smoothing = { weak = 0.1 }          # spread over all classes, by who gave a label

[export]
splits = { train = 0.8, val = 0.1, test = 0.1 }
salt = "curate"
# group_by = ["album", "author"]      # what shares a split beside what looks alike; docs/dedupe.md
# split_from = "folds.csv"            # splits that are given: id, page_id, url or path, and split
# test_sources = ["folds"]            # sources that are the test split, by what their tables are called
formats = ["parquet", "csv"]
# min_human_test = 0.5                # what is published: half of the test labels are people's, or no release
# min_probability = 0.6               # a machine's label that is less sure stays out
# signing_key = "~/signing.key"       # `curate keys new`: what leaves is signed (docs/receiving.md)
# licenses = ["CC*", "Public domain"] # what has none of them stays out; ["*"]: what has none at all
# on_suspect = "drop"                 # what a second look finds alike across splits leaves train; "refuse": no release
"""


def write_config(root: Path, sources: Tables = (), lists: Tables = (), screening: bool = True) -> None:
    """Write the file, with these tables as its sources and its screening lists; raises UsageError, and leaves nothing
    behind, where there is one, or where a table is not one that curate.toml could have.

    `screening` False: no list is required, which is possible where every class is safe, and goes with every release.
    """
    path = root / CONFIG_NAME
    if path.exists():
        raise UsageError(f"{path}: there is one already")
    if lists and not screening:
        raise UsageError("init: screening=False, and lists are given: leave out one of the two")
    text = TEMPLATE.replace(_BEFORE, _tables(sources, "sources") + _BEFORE)
    text = text.replace(_LISTS, _tables(lists, "screening.lists") + _LISTS)
    text = text if screening else text.replace("\nrequired = true\n", "\nrequired = false\n")
    config = parse(text, root)
    if sources:
        configured.sources(config)
    configured.lists(config)
    root.mkdir(parents=True, exist_ok=True)
    write(path, text.encode())


def _tables(given: Tables, name: str) -> str:
    """Tables as TOML that is read as just these; raises UsageError for what TOML has no word for."""
    if isinstance(given, Mapping | str) or not all(isinstance(one, Mapping) for one in given):
        raise UsageError(f"{name}: give a list of tables, such as [{_EXAMPLES[name]}]")
    plain = [{key: _plain(value, f"{name}.{key}") for key, value in one.items()} for one in given]
    text = "".join(
        f"[[{name}]]\n" + "".join(f"{_key(key)} = {_toml(value)}\n" for key, value in one.items()) + "\n"
        for one in plain
    )
    try:
        read: Any = tomllib.loads(text.encode().decode())
    except (tomllib.TOMLDecodeError, UnicodeError) as error:
        raise UsageError(f"{name}: cannot be written as TOML: {error}") from error
    for key in name.split("."):
        read = read.get(key, {})
    if (read or []) != plain:
        raise UsageError(f"{name}: TOML reads them as something else: {read!r}")
    return text


def _plain(value: Any, where: str) -> Any:
    """A value as TOML gives it back."""
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _plain(one, f"{where}.{key}") for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one, where) for one in value]
    if isinstance(value, str | bool | int | float):
        return value
    raise UsageError(f"{where}: {value!r} cannot stand in {CONFIG_NAME}: text, numbers, true, false, lists, tables can")


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)
    return text.replace("\x7f", "\\u007f") if isinstance(value, str) else text.lower()


def _key(key: Any) -> str:
    return str(key) if _BARE.fullmatch(str(key)) else _toml(str(key))
