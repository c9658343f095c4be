"""What a project does with models."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from curate.admin import stages
from curate.admin.result import Result
from curate.admin.session import Session, interruptions
from curate.errors import UsageError
from curate.store.workspace import Workspace


@interruptions
@dataclass(frozen=True)
class Models:
    """The methods of a project about models."""

    session: Session

    def train(self, version: str, backbone: str | None = None, axis: str | None = None) -> Result:
        """Train and measure the baseline classifier on a release.

        `backbone`: another one than `[train]` names; `axis`: whose labels (the first's). Such a model has a name of its
        own, "1.0.0+nsfwjs", and lies beside the other.
        """
        with self.session.drive("train") as ws:
            ws.said = facts = stages.trained(self.session, ws, version, backbone, axis)
        return Result(facts)

    def predict(
        self, model: str | Path, paths: Iterable[str | Path],
        say: Callable[[Sequence[str]], Callable[[Mapping[str, Any]], None]] | None = None,
    ) -> Result:  # fmt: skip
        """What a model says of files on this machine, and of the pictures below folders; nothing of them is kept.

        `model`: its name here ("1.0.0") or its folder. `rows` has one a file, in order: `path`, `probabilities` by
        class and `decision` (safe, review, block), or `reason` and `detail` where nobody can say. `say`: is told the
        classes, and gives what is told each row when it is known; `rows` is empty then. Raises UsageError for one path
        where a list is asked.
        """
        if isinstance(paths, str | bytes | PathLike):
            raise UsageError(f"predict: give a list of paths, [path, ...]; this is one ({type(paths).__name__})")

        def act(ws: Workspace | None = None) -> Mapping[str, Any]:
            return stages.predicted(self.session, fspath(model), (fspath(one) for one in paths), say)

        known = (self.session.root / "work" / "catalog.db").is_file()  # no workspace is needed
        return Result(self.session.read(act, "leave") if known else act())

    def evaluate(self, model: str | Path, version: str | Path, split: str = "test", publish: bool = False) -> Result:
        """Any model on a split of a release, with the figures of `train`, and beside the release's baseline.

        `version` may be the folder of somebody's release that was hydrated: beside the figures that were published with
        it, with every item that makes a difference. `publish`: write such a folder. `model`: a version that was
        trained here, a model's folder, the name of a labeler, FILE.toml with a labeler's table, or FILE.csv with scores
        (sha256, a column a class or one `not_safe`).
        """
        with self.session.drive("eval") as ws:
            act = stages.published if publish else stages.evaluated
            ws.said = facts = act(self.session, ws, fspath(model), fspath(version), split)
        return Result(facts)
