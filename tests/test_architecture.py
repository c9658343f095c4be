"""Who may import whom: docs/layers.txt is the table, and a test names the import that breaks it."""

import ast
import functools
import graphlib
import re
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs" / "layers.txt"
LAYERS = [line.split() for line in TABLE.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}
PLUGINS = ("sources", "labelers", "manifests")
# What a plug-in sees: contracts, records, errors and pure helpers.
PLUGIN_MAY = (
    "curate.contracts",
    "curate.records",
    "curate.errors",
    "curate.media",
    "curate.net.redact",
    "curate.layouts",
    "curate.policy.text",
)
HEAVY = {"torch", "fiftyone", "snorkel", "ray", "numba", "onnxruntime", "sklearn", "cv2", "pandas", "pyarrow", "scipy"}
LAZY = {  # compiled code, itself imported only inside functions
    "curate.compiled",
    "curate.media.pdq_kernels",
    "curate.media.resize_kernels",
    "curate.near.kernels",
    "curate.screening.kernels",
}


def files() -> list[Path]:
    found = [ROOT / "cli.py", *(p for folder in ("curate", *PLUGINS) for p in (ROOT / folder).rglob("*.py"))]
    return sorted(found)


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@functools.cache
def is_module(name: str) -> bool:
    path = ROOT / Path(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def imports(path: Path, *, top_level_only: bool = False) -> list[str]:
    """The modules that a file imports at run time, wherever it does."""
    return list(_imports(path, top_level_only))


def _imports(path: Path, top_level_only: bool) -> Iterator[str]:
    tree = tree_of(path)
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    for_types = {id(inner) for node in nodes if _is_for_types(node) for inner in ast.walk(node)}
    for node in nodes:
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            module = node.module or ""
            yield from (inner if is_module(inner := f"{module}.{alias.name}") else module for alias in node.names)


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


OURS = [path for path in files() if name_of(path).startswith("curate.") and path.name != "__main__.py"]


def test_every_file_has_a_layer() -> None:
    """And every name of the table has a file."""
    found = {name_of(path).split(".")[1] for path in OURS}
    assert found == set(LAYER)


def test_a_folder_imports_lower_layers_only() -> None:
    for path in OURS:
        here = name_of(path).split(".")[1]
        for module in imports(path):
            parts = module.split(".")
            assert parts[0] not in (*PLUGINS, "cli"), f"{name_of(path)} imports {module}: curate/ names no plug-in"
            assert parts[0] != "typer" or here == "commands", (
                f"{name_of(path)} imports {module}: Typer is for commands/"
            )
            if parts[0] == "curate" and len(parts) > 1 and parts[1] in LAYER and parts[1] != here:
                assert LAYER[parts[1]] < LAYER[here], f"{name_of(path)} imports {module}: it lies above, or beside"


def test_nothing_is_raised_in_a_group() -> None:
    """Debian 12's Python (3.11.2) leaves what `except*` raises in a group, which is none of the tree of errors."""
    for path in files():
        found = [
            node.lineno
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.TryStar)
        ]
        assert not found, f"{name_of(path)}:{found[0]}: `except*`; split the group instead"


def test_no_import_goes_round_in_a_circle() -> None:
    known = {name_of(path) for path in files()}
    graph = {name_of(path): {m for m in imports(path) if m in known} - {name_of(path)} for path in files()}
    for folder in known:  # a package imports before any file of it, and for the reader that is not an import
        graph[folder] -= {folder.rpartition(".")[0]}
    graphlib.TopologicalSorter(graph).prepare()


def test_plugins_import_contracts_only() -> None:
    for path in (p for p in files() if name_of(p).split(".")[0] in PLUGINS):
        here = name_of(path)
        for module in imports(path):
            top = module.split(".")[0]
            # files that start with _ are parts of a plug-in, not one
            part = module.startswith(f"{here.split('.')[0]}._")
            assert part or top not in PLUGINS, f"{here} imports {module}: a plug-in imports no other"
            if top == "curate":
                assert any(module == ok or module.startswith(f"{ok}.") for ok in (*PLUGIN_MAY, "curate")), (
                    f"{here} imports {module}: a plug-in sees contracts, records, errors and pure helpers only"
                )


def test_heavy_imports_wait() -> None:
    for path in files():
        if name_of(path) in LAZY:
            continue
        heavy = {m.split(".")[0] for m in imports(path, top_level_only=True)} & HEAVY
        assert not heavy, f"{name_of(path)} imports {sorted(heavy)} at module level; do it in load() or inside the verb"


def test_files_stay_readable() -> None:
    for path in files():
        lines = path.read_text(encoding="utf-8").count("\n")
        assert lines <= 400, f"{name_of(path)} has {lines} lines; split it"


def test_tests_stay_readable() -> None:
    lines = {path: path.read_text(encoding="utf-8").count("\n") for path in (ROOT / "tests").rglob("*.py")}
    assert {name_of(path): n for path, n in lines.items() if n > 400} == {}, "split it by what its tests prove"


def test_the_house_stays_small() -> None:
    """Half of all files are short, nine of ten are not long, and few lie outside of a folder."""
    lines = sorted(path.read_text(encoding="utf-8").count("\n") for path in files())
    assert statistics.median(lines) <= 130
    assert lines[int(0.9 * len(lines))] <= 280
    here = [path for path in (ROOT / "curate").iterdir() if path.suffix == ".py" or any(path.glob("*.py"))]
    kinds = Counter(path.is_dir() for path in here)
    assert kinds[False] <= 14
    assert kinds[True] <= 24


def test_functions_stay_short() -> None:
    lengths = sorted(
        node.end_lineno - node.lineno + 1
        for path in files()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno
    )
    assert lengths[int(0.9 * len(lengths))] <= 18


def test_public_names_are_documented() -> None:
    """Modules, classes and functions without a leading _; a method of a class that keeps a contract is told by that."""
    for path in files():
        tree = tree_of(path)
        if tree.body:
            assert ast.get_docstring(tree), f"{name_of(path)} has no docstring"
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name[0] != "_":
                assert ast.get_docstring(node), f"{name_of(path)}.{node.name} has no docstring"


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


def test_the_picture_is_that_of_the_table() -> None:
    """`python docs/draw_layers.py` draws it."""
    sys.path.insert(0, str(TABLE.parent))
    try:
        from draw_layers import picture  # type: ignore[import-not-found]
    finally:
        del sys.path[0]
    assert (TABLE.parent / "images" / "layers.svg").read_text(encoding="utf-8") == picture(
        TABLE.read_text(encoding="utf-8")
    )


def test_every_address_of_the_documents_is_there() -> None:
    for document in (*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")):
        for name in re.findall(r"`((?:curate|sources|labelers|manifests|tests)/[\w/.]*)`", document.read_text("utf-8")):
            assert (ROOT / name).exists() or "foo" in name, f"{document.name}: {name}"
