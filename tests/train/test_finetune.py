"""`[train] finetune`: the last blocks of a network learn from train; the same bytes again, killed or not."""

import copy
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import pytest

from curate.config import Config, TrainConfig
from curate.contracts import Decoded, Resources
from curate.engine.serial import Serial
from curate.errors import UsageError
from curate.evaluate.run import _of_folder
from curate.media.pixels import pixels
from curate.records import Axis
from curate.removal.takedown import takedown
from curate.store import blobs
from curate.store.tables import TUNED
from curate.store.workspace import Workspace
from curate.train import finetune
from curate.train.run import lines, train
from tests.support.releases import QUIET, contents
from tests.train.test_train import Tiny, items, released

RECIPE = {"shorter_side": 256, "size": [16, 16], "interpolation": "bicubic", "mean": [127.0] * 3, "std": [128.0] * 3}


@dataclass
class Small:
    """Three blocks of a few planes, with random weights or those of a file."""

    sha256: str = ""
    version: ClassVar[int] = 1
    needs: ClassVar[Resources] = Resources(side=256)
    columns: ClassVar[Mapping[str, str]] = {"embedding": "float16[8]"}
    file: ClassVar[Path | None] = None

    def load(self) -> None:
        self._network = self.module()

    def label(self, batch: Sequence[Decoded]) -> Mapping[str, np.ndarray]:
        import torch

        views = torch.from_numpy(np.array([pixels(one.image(256), RECIPE) for one in batch]))
        with torch.inference_mode():
            return {"embedding": self._network(views).numpy().astype(np.float16)}

    def module(self) -> Any:
        import torch
        from safetensors.torch import load_file
        from torch import nn

        with torch.random.fork_rng():
            torch.manual_seed(0)
            first, second = nn.Conv2d(3, 8, 3, 2), nn.Sequential(nn.ReLU(), nn.Conv2d(8, 8, 3, 2), nn.BatchNorm2d(8))
            network = nn.Sequential(first, second, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        if self.file is not None:
            network.load_state_dict(load_file(self.file))
        return network.eval()

    def with_weights(self, path: Path) -> "Small":
        made = copy.copy(self)
        vars(made).update(file=path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
        return made

    def preprocessing(self) -> dict[str, object]:
        return dict(RECIPE)


def trained(ws: Workspace, backbone: Any = None, **options: Any) -> dict[str, Any]:
    ws.config = replace(ws.config, train=TrainConfig(epochs=20, **options))
    return train(ws, "1.0.0", Serial(), backbone or Small(), QUIET)


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return released(tmp_path_factory.mktemp("finetune"), items(64), Config())


@pytest.fixture(scope="module")
def tuned(stock: Workspace, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """What is said of a training, and its files."""
    result, kept = trained(stock, finetune=2), tmp_path_factory.mktemp("kept") / "model"
    shutil.copytree(result["path"], kept)
    return result, kept


def leftovers(ws: Workspace) -> list[str]:
    return sorted(
        one.name for one in (ws.work / "tables").iterdir() if one.name.startswith((TUNED, "finetune", "augment"))
    )


def test_the_last_blocks_alone_have_learnt(stock: Workspace, tuned: tuple[dict[str, Any], Path]) -> None:
    from safetensors.numpy import load_file

    result, folder = tuned
    before, after = Small().module().state_dict(), load_file(folder / "model.safetensors")
    same = {name for name, one in before.items() if np.array_equal(one.numpy(), after[f"backbone.{name}"])}
    assert {name.partition(".")[0] for name in same} >= {"0"}
    assert {"1.1.weight", "1.2.weight"} <= before.keys() - same
    assert {"1.2.running_mean", "1.2.running_var"} <= same, "averages are those of the pretraining"
    losses = [before for before, _ in result["finetuned"]["log"]]
    assert losses[-1] < losses[0]
    assert (result["finetuned"]["blocks"], result["finetuned"]["of"]) == (2, "")
    assert leftovers(stock) == [], "what is in the model is not kept beside it"
    assert "last 2 blocks fine-tuned" in (folder / "card.md").read_text()
    assert any("the last 2 blocks of test_finetune" in line for line in lines(result))
    assert json.loads((folder / "model.json").read_text())["finetuned"] == 2
    with pytest.raises(UsageError, match="its backbone was fine-tuned"):
        _of_folder(stock, folder, "1.0.0", Axis(), *cast("Any", (None, None)))
    assert json.loads((folder / "metrics.json").read_text())["finetuned"]["log"] == result["finetuned"]["log"]


def test_the_same_bytes_again_and_others_by_seed(stock: Workspace, tuned: tuple[dict[str, Any], Path]) -> None:
    assert contents(Path(trained(stock, finetune=2)["path"])) == contents(tuned[1])
    other = trained(stock, finetune=2, seed=1)
    assert other["finetuned"]["log"] != tuned[0]["finetuned"]["log"]


@pytest.mark.parametrize("writes", [2, 99])
def test_killed_it_goes_on_to_the_same_bytes(
    stock: Workspace, tuned: tuple[dict[str, Any], Path], writes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some epochs, or, last, when the weights are there and nothing else is."""
    real, left = blobs.write, [writes]

    def killed(path: Path, data: bytes) -> None:
        real(path, data)
        left[0] -= 1
        if not left[0] or (writes == 99 and path.name == finetune.WEIGHTS):
            raise KeyboardInterrupt

    steps: list[int] = []
    monkeypatch.setattr(finetune, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        trained(stock, finetune=2)
    assert len(leftovers(stock)) == 2

    def counted(path: Path, data: bytes) -> None:
        real(path, data)
        steps.append(1)

    monkeypatch.setattr(finetune, "write", counted)
    result = trained(stock, finetune=2)
    assert contents(Path(result["path"])) == contents(tuned[1])
    assert len(steps) == len(result["finetuned"]["log"]) + 1 - min(writes, len(result["finetuned"]["log"]))


def test_altered_pictures_are_learnt_from_and_not_kept(stock: Workspace, tuned: tuple[dict[str, Any], Path]) -> None:
    result = trained(stock, finetune=1, augment=("flip", "crop"))
    assert result["finetuned"]["log"][0] != tuned[0]["finetuned"]["log"][0]
    left = leftovers(stock)
    assert len(left) == 1, "features of altered pictures are, as without it"


def test_what_was_learnt_in_a_training_that_was_killed_goes_with_its_items(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws = released(tmp_path, items(20), Config())

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(finetune._Course, "weights", killed)
    with pytest.raises(KeyboardInterrupt):
        trained(ws, finetune=1)
    assert any(name.startswith(TUNED) for name in leftovers(ws))
    takedown(ws, ws.catalog.scalar("SELECT min(id) FROM samples"), "asked for")
    assert not any(name.startswith(TUNED) for name in leftovers(ws))


def test_what_cannot_be_tuned_is_one_line(stock: Workspace) -> None:
    with pytest.raises(UsageError, match=r"train\.finetune: test_finetune has 3 blocks, and not 4"):
        trained(stock, finetune=4)
    with pytest.raises(UsageError, match=r"train\.finetune: test_train has no weights that can be tuned; timm:NAME"):
        trained(stock, Tiny(), finetune=1)
    with pytest.raises(ValueError, match="finetune must be at least 0"):
        TrainConfig(finetune=-1)
