"""Who may import whom, as a table; a test names the import that breaks it."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SPOKES = ("sources", "labelers", "manifests")

# Bottom up: a module imports its own layer's package or lower layers, never a higher one.
LAYERS: list[set[str]] = [
    {"curate.records", "curate.fingerprint", "curate.compiled", "curate.ending"},
    {"curate.errors"},
    {
        "curate.contracts",
        "curate.coverage",
        "curate.progress",
        "curate.toml",
        "curate.policy",
        "curate.layouts.url_lists",
        "curate.layouts",
        "curate.policy.trust",
    },
    {"curate.config", "curate.plugins"},
    {
        "curate.store",
        "curate.media",
        "curate.net",
        "curate.engine",
        "curate.engine._confine",
        "curate.near",
        "curate.label.models",
        "curate.review.queues",
        "curate.fetch.reasons",
    },
    {"curate.commands.wording"},
    {"curate.screening"},
    {"curate.commands.context"},
]
# Parts of verbs that verbs share. Everything else in curate/ is a verb, and verbs do not import each other.
SHARED = {
    "curate.fetch.admission",
    "curate.review.assignment",
    "curate.review.agreement",
    "curate.dedupe.animations",
    "curate.media.answers",
    "curate.evaluate.bundle",
    "curate.features.blobwork",
    "curate.fetch.budget",
    "curate.dedupe.conflicts",
    "curate.removal.erase",
    "curate.review.exposure",
    "curate.fetch.coverage",
    "curate.report.counts",
    "curate.label.flags",
    "curate.admin.following",
    "curate.features.frames",
    "curate.features.detail",
    "curate.dedupe.groups",
    "curate.review.guideline",
    "curate.features.hashes",
    "curate.linear",
    "curate.dedupe.held_out",
    "curate.features.inspect",
    "curate.store.file_digests",
    "curate.stats.interrater",
    "curate.review.journal",
    "curate.fetch.licenses",
    "curate.dedupe.similarity",
    "curate.store.lost",
    "curate.fetch.listing",
    "curate.fetch.local_files",
    "curate.dedupe.membership",
    "curate.fetch.moved",
    "curate.stats.metrics",
    "curate.report.html",
    "curate.report.reviewers",
    "curate.review.pool",
    "curate.screening.quarantine",
    "curate.fetch.recorder",
    "curate.release.redact",
    "curate.release.rows",
    "curate.store.reviewer",
    "curate.removal.remove",
    "curate.fetch.reopen",
    "curate.fetch.placeholders",
    "curate.fetch.sampling",
    "curate.features.scores",
    "curate.features.score_worker",
    "curate.dedupe.sharing",
    "curate.report.contact_sheet",
    "curate.dedupe.search",
    "curate.label.functions",
    "curate.label.table",
}
SPOKE_MAY = {
    "curate.contracts",
    "curate.records",
    "curate.errors",
    "curate.media",
    "curate.net.redact",
    "curate.layouts.url_lists",
    "curate.layouts",
}
HEAVY = {"torch", "fiftyone", "snorkel", "ray", "numba", "onnxruntime", "sklearn", "cv2", "pandas", "pyarrow", "scipy"}
LAZY = {  # compiled code, itself imported only inside functions
    "curate.compiled",
    "curate.media.pdq_kernels",
    "curate.near.kernels",
    "curate.screening.kernels",
}


def files() -> list[Path]:
    found = [ROOT / "cli.py", *(p for folder in ("curate", *SPOKES) for p in (ROOT / folder).rglob("*.py"))]
    return sorted(found)


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path, *, top_level_only: bool = False) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            module = node.module or ""
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def layer(module: str) -> int | None:
    """The layer of a kernel module: a number, or None for a verb or a verb's part."""
    parts = module.split(".")
    for end in range(len(parts), 0, -1):
        prefix = ".".join(parts[:end])
        for number, names in enumerate(LAYERS):
            if prefix in names:
                return number
    return None


def is_module(name: str) -> bool:
    path = ROOT / Path(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


ROOT_PART = "curate.commands"  # with cli.py the root: it names plug-ins and Typer, and the kernel may not import it
KERNEL = [p for p in files() if name_of(p).startswith("curate.") and not name_of(p).startswith(ROOT_PART)]


@pytest.mark.parametrize("path", KERNEL, ids=name_of)
def test_kernel_imports_only_downwards(path: Path) -> None:
    here = name_of(path)
    mine = layer(here)
    for module in imports(path):
        top = module.split(".")[0]
        named = top in (*SPOKES, "cli", "typer") or module.startswith(ROOT_PART)
        assert not named, f"{here} imports {module}: the kernel names no plug-in and no Typer"
        if top != "curate" or module == "curate" or not is_module(module):
            continue
        theirs = layer(module)
        if mine is not None:
            assert theirs is not None, f"{here} imports {module}: a layer below the verbs imports no verb"
            assert theirs <= mine, f"{here} imports {module}: that lies above it"


@pytest.mark.parametrize("path", KERNEL, ids=name_of)
def test_verbs_do_not_import_each_other(path: Path) -> None:
    here = name_of(path)
    if layer(here) is not None or here.startswith("curate.demo"):
        return
    for module in imports(path):
        own = module.split(".")[:2] == here.split(".")[:2]  # a verb may be a folder
        if module.startswith("curate.") and is_module(module) and not own:
            own = module.split(".")[1] == here.split(".")[1]  # a verb may be a package of several files
            verb = layer(module) is None and not own and module not in SHARED and module != "curate.demo"
            assert not verb, f"{here} imports {module}: verbs do not import each other"


@pytest.mark.parametrize("path", [p for p in files() if name_of(p).split(".")[0] in SPOKES], ids=name_of)
def test_spokes_import_contracts_only(path: Path) -> None:
    here = name_of(path)
    for module in imports(path):
        top = module.split(".")[0]
        part = module.startswith(f"{here.split('.')[0]}._")  # files that start with _ are parts of a plug-in, not one
        assert part or top not in SPOKES, f"{here} imports {module}: a plug-in imports no other"
        if top == "curate" and is_module(module):
            assert any(module == ok or module.startswith(f"{ok}.") for ok in SPOKE_MAY | {"curate"}), (
                f"{here} imports {module}: a plug-in sees contracts, records, errors and pure helpers only"
            )


@pytest.mark.parametrize("path", files(), ids=name_of)
def test_heavy_imports_wait(path: Path) -> None:
    if name_of(path) in LAZY:
        return
    heavy = {m.split(".")[0] for m in imports(path, top_level_only=True)} & HEAVY
    assert not heavy, f"{name_of(path)} imports {sorted(heavy)} at module level; do it in load() or inside the verb"


@pytest.mark.parametrize("path", files(), ids=name_of)
def test_files_stay_readable(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= 400, f"{name_of(path)} has {lines} lines; split it"


def test_help_is_fast_to_import() -> None:
    """`curate --help` loads nothing heavy."""
    code = "import sys, cli; print('\\n'.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = {name.split(".")[0] for name in run.stdout.split()}
    assert not loaded & (HEAVY | {"numpy", "PIL", "aiohttp", "rich"})


def test_unpickling_stays_inside() -> None:
    """Nothing that came from outside is unpickled: no loader of pickles anywhere in the product.

    The pipe from this process to its workers is none of the outside; what comes back from them is, and is plain data.
    """
    banned = ("pickle.load", "pickle.loads", "joblib.load", "weights_only=False", "allow_pickle=True", "Pickler")
    for path in files():
        text = path.read_text(encoding="utf-8")
        if name_of(path) == "curate.engine._transport":
            text = text.replace("ForkingPickler", "", 3)  # imported once, used twice, both in a worker
        for word in banned:
            assert word not in text, f"{name_of(path)} uses {word}"
