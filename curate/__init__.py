"""Dataset curation and labelling for content moderation.

    import curate

    project = curate.open("my-dataset")
    project.fetch(), project.dedupe(), project.label()
    release = project.export("1.0.0")

docs/api.md has every name. Nothing is imported before it is used.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
_HOME = {  # public names, and the module that each is in
    "BusyError": "curate.errors",
    "CurateError": "curate.errors",
    "GateError": "curate.errors",
    "InterruptionError": "curate.errors",
    "ItemError": "curate.errors",
    "MatchError": "curate.errors",
    "Project": "curate.project",
    "Release": "curate.release.access",
    "Result": "curate.admin.result",
    "StoreError": "curate.errors",
    "UsageError": "curate.errors",
    "check": "curate.project",
    "init": "curate.project",
    "load_model": "curate.evaluate.bundle",
    "load_release": "curate.project",
    "metrics": "curate.stats",  # the module itself
    "open": "curate.project",
}
__all__ = [
    "BusyError", "CurateError", "GateError", "InterruptionError", "ItemError", "MatchError", "Project", "Release",
    "Result", "StoreError", "UsageError", "__version__", "check", "init", "load_model", "load_release", "metrics",
    "open",
]  # fmt: skip


if TYPE_CHECKING:
    from curate.admin.result import Result
    from curate.errors import (
        BusyError,
        CurateError,
        GateError,
        InterruptionError,
        ItemError,
        MatchError,
        StoreError,
        UsageError,
    )
    from curate.evaluate.bundle import load_model
    from curate.project import Project, check, init, load_release, open
    from curate.release.access import Release
    from curate.stats import metrics
else:

    def __getattr__(name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module 'curate' has no attribute '{name}'")
        import importlib

        if name == "metrics":
            return importlib.import_module(f"{_HOME[name]}.{name}")
        return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
