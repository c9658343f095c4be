"""What a project does with models."""

from dataclasses import dataclass
from os import fspath
from pathlib import Path

from curate.admin import stages
from curate.admin.result import Result
from curate.admin.session import Session, interruptions


@interruptions
@dataclass(frozen=True)
class Models:
    """The methods of a project about models."""

    session: Session

    def train(self, version: str) -> Result:
        """Train and measure the baseline classifier on a release."""
        with self.session.drive("train") as ws:
            ws.said = facts = stages.trained(self.session, ws, version)
        return Result(facts)

    def evaluate(self, model: str | Path, version: str, split: str = "test") -> Result:
        """Any model on a split of a release, with the figures of `train`, and beside the release's baseline.

        `model`: a version that was trained here, a model's folder, the name of a labeler, FILE.toml with a labeler's
        table, or FILE.csv with scores (sha256, a column a class or one `not_safe`).
        """
        with self.session.drive("eval") as ws:
            ws.said = facts = stages.evaluated(self.session, ws, fspath(model), version, split)
        return Result(facts)
