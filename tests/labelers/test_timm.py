"""The labeler `timm`: a network by its name, on weights that lie on this machine and are what they are said to be."""

import json
import pickle
import pwd
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from curate.admin import configured
from curate.config import Config, TrainConfig
from curate.errors import UsageError
from curate.evaluate.bundle import RECIPE, WEIGHTS, in_torch, load_model, save
from curate.media.pixels import pixels
from curate.options import Plugin
from curate.plugins import fingerprint_of, make, network_of, options_of
from curate.store.model_files import checked, seal
from curate.testing import check_labeler
from curate.train.finetune import blocks
from tests.evaluate.test_graph import CLASSES, FACTS, answers, check_from_outside, head
from tests.support.model_pictures import files, outside
from tests.support.pictures import photograph
from tests.support.timm_networks import timm

ARCHITECTURE, WIDTH = "resnet10t", 512  # small, of 176 px
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "baseline.md").read_text(encoding="utf-8")
TABLE = PAGE.partition("| family | such as, with its features |\n")[2].partition("\n\n")[0]
FAMILIES = {name: int(n.replace(",", "")) for name, n in re.findall(r"`(\w+)`(?: \([^)]*\))? ([\d,]+\d)", TABLE)}


def written(path: Path, architecture: str, seed: int = 0) -> Path:
    """Random weights of a network, classifier and all."""
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(timm().create_model(architecture).state_dict(), path)
    return path


def made(weights: Path | None = None, architecture: str = ARCHITECTURE, **options: Any) -> Any:
    table = {"architecture": architecture, **options} | ({} if weights is None else {"weights": str(weights)})
    return make("labelers", Plugin("timm", table, "labelers"), "labeler")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    timm()
    return written(tmp_path_factory.mktemp("weights") / "mine.safetensors", ARCHITECTURE)


@pytest.fixture(scope="module")
def labeler(weights: Path) -> Any:
    found = made(weights)
    found.load()
    return found


def test_without_the_package_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UsageError, match=r"labelers\.timm: .*pip install 'curate-media\[timm\]'"):
        made()
    with pytest.raises(UsageError, match=r"train\.backbone\.timm: .*pip install"):
        configured.backbone(Config(train=TrainConfig(backbone="timm:resnet50")))


def test_a_torchvision_of_another_build_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def find_spec(self, name: str, *_: Any) -> None:
            if name == "timm":
                raise RuntimeError("operator torchvision::nms does not exist")

    for name in [one for one in sys.modules if one.partition(".")[0] == "timm"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(UsageError, match=r"nms does not exist.*install the torchvision that belongs to your torch"):
        made()


def test_without_weights_it_says_where_they_were_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timm()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    place = tmp_path / "curate" / "timm" / f"{ARCHITECTURE}.safetensors"
    config = Config(train=TrainConfig(backbone=f"timm:{ARCHITECTURE}"))
    with pytest.raises(UsageError, match=re.escape(str(place)) + ".*nothing is downloaded"):
        configured.backbone(config)
    with pytest.raises(UsageError, match=re.escape(str(tmp_path))):
        made(tmp_path)  # a folder
    written(place, ARCHITECTURE)
    found = configured.backbone(config)
    assert network_of(found) == f"timm:{ARCHITECTURE}"
    assert found.reads == [place]
    assert options_of(found)["weights"] is None, "a model says nothing of this machine's folders"
    monkeypatch.delenv("XDG_CACHE_HOME")
    found.load()  # in a worker, which has another environment


def test_without_a_home_it_says_where_they_were_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    timm()
    for name in ("XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)  # a container's user, who is in no list of users
    with pytest.raises(UsageError, match=re.escape(f"~/.cache/curate/timm/{ARCHITECTURE}.safetensors")):
        make("labelers", Plugin("timm", {"architecture": ARCHITECTURE}, "labelers"), "labeler")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("resnet5", "did you mean 'resnet50'"), ("hf-hub:timm_resnet18", "timm has|has no"), ("local-dir:.", "has no"),
        ("../resnet18", "has no"), ("resnet18.nope", "pretrained tag"), ("vit_tiny_patch16_224.", "has no"),
    ],
)  # fmt: skip
def test_a_network_that_timm_has_not_is_refused(name: str, says: str) -> None:
    timm()
    with pytest.raises(UsageError, match=says):
        made(architecture=name)


def test_backbone_by_name_takes_the_table_of_that_network(weights: Path) -> None:
    tables = [
        Plugin("timm", {"architecture": "resnet50", "weights": "/nowhere"}, "labelers"),
        Plugin("timm", {"architecture": ARCHITECTURE, "weights": str(weights), "name": "small"}, "labelers"),
    ]
    for name in (f"timm:{ARCHITECTURE}", "small"):
        found = configured.backbone(Config(labelers=tuple(tables), train=TrainConfig(backbone=name)))
        assert found.weights == weights
    with pytest.raises(UsageError, match="architecture: no such key"):
        configured.backbone(Config(train=TrainConfig(backbone="efficientnet_lite0:b0")))


def test_it_keeps_its_contract(labeler: Any, weights: Path) -> None:
    check_labeler(made(weights))
    assert labeler.label([])["embedding"].shape == (0, WIDTH)


def test_features_are_those_of_timm(labeler: Any, weights: Path) -> None:
    """Its network on its own preprocessing, of a picture that neither makes smaller first."""
    import torch
    from safetensors.torch import load_file
    from timm.data import create_transform, resolve_model_data_config

    network = timm().create_model(ARCHITECTURE)
    network.load_state_dict(load_file(weights))
    network.reset_classifier(0)
    network.eval()
    picture = photograph("chelsea.png").resize((64, 64)).resize((256, 256))
    said = resolve_model_data_config(network)
    theirs = create_transform(**said, is_training=False)(picture)[None]
    ours = torch.from_numpy(pixels(picture, labeler.preprocessing())[None])
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().mean() < 0.1 * theirs.std(), "the same part of it, by the same mean and deviation"
    with torch.inference_mode():
        wanted = network(ours).numpy()
    found = labeler.label([SimpleNamespace(image=lambda side: picture)])["embedding"]
    assert np.abs(found.astype(np.float32) - wanted).max() < 1e-3 * np.abs(wanted).max()


def test_weights_and_timm_are_what_the_features_are_called_by(weights: Path, tmp_path: Path) -> None:
    mine = made(weights)
    assert options_of(mine)["timm"] == timm().__version__
    other = tmp_path / weights.name
    other.write_bytes(weights.read_bytes())
    before = made(other)
    written(other, ARCHITECTURE, seed=1)
    after = made(other)
    assert before.sha256 == mine.sha256 != after.sha256
    assert fingerprint_of(before) != fingerprint_of(after), "changed weights make the table anew"
    with pytest.raises(UsageError, match="not the bytes that are expected"):
        before.load()
    with pytest.raises(UsageError, match=f"sha256: {mine.sha256} is asked for"):
        made(other, sha256=mine.sha256)
    with pytest.raises(UsageError, match=r"timm: 0\.1 is asked for"):
        made(other, timm="0.1")


class _Runs:
    def __reduce__(self) -> Any:
        return (print, ("ran",))


def test_a_state_dict_is_read_and_nothing_in_it_is_run(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch
    from safetensors.torch import load_file

    good = tmp_path / "good.pth"
    torch.save({"state_dict": load_file(weights)}, good)
    assert made(good).graph() == made(weights).graph()
    for name, data in {"evil.pth": pickle.dumps({"a": _Runs()}), "junk.safetensors": b"junk", "empty.pth": b""}.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UsageError, match=f"labelers.timm: .*{name}: no weights of"):
            made(tmp_path / name).load()
    assert "ran" not in capsys.readouterr().out


def test_weights_of_another_network_are_refused(weights: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    state, file = load_file(weights), tmp_path / "some.safetensors"
    first = next(name for name, one in state.items() if one.ndim)
    changed = {
        "are not there": {k: v for k, v in state.items() if k != first},
        "are not of it": state | {"layer9.weight": state[first].clone()},
        "size mismatch": state | {first: state[first][:1].clone()},
    }
    for says, some in changed.items():
        save_file(some, file)
        with pytest.raises(UsageError, match=f"no weights of {ARCHITECTURE} .*{says}"):
            made(file).load()
    save_file({k: v for k, v in state.items() if not k.startswith("fc.")}, file)
    made(file).load()  # the classifier is not needed


def saved(folder: Path, backbone: Any) -> Path:
    folder.mkdir()
    save(folder, backbone, head(int(backbone.columns["embedding"][8:-1])), CLASSES)
    seal(folder, FACTS)
    return folder


def test_a_model_says_the_same_as_a_graph_in_torch_and_without_timm(
    labeler: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved(tmp_path / "model", labeler)
    recipe = json.loads((folder / RECIPE).read_text())
    said = {"architecture": ARCHITECTURE, "sha256": labeler.sha256, "timm": labeler.timm}
    assert said.items() <= recipe["backbone"]["options"].items()
    again = saved(tmp_path / "again", labeler)
    for name in ("model.onnx", WEIGHTS, RECIPE):
        assert (folder / name).read_bytes() == (again / name).read_bytes()
    torches = in_torch(folder, checked(folder)["files"], labeler)
    monkeypatch.setitem(sys.modules, "timm", None)
    check_from_outside(folder, 20)
    data = files(6)
    theirs = np.array([torches(outside(one, recipe)) for one in data])
    assert np.abs(answers(load_model(folder), data) - theirs).max() < 1e-4


def test_tuned_weights_are_named_by_their_digest_alone(weights: Path, tmp_path: Path) -> None:
    mine, other = made(weights), made(written(tmp_path / "other.safetensors", ARCHITECTURE, seed=1))
    tuned = pickle.loads(pickle.dumps(mine.with_weights(other.weights)))
    assert (tuned.sha256, tuned.reads, tuned.graph()) == (other.sha256, [other.weights], other.graph())
    assert fingerprint_of(tuned) != fingerprint_of(mine)
    assert str(tmp_path) not in str(options_of(tuned))
    assert len(blocks(mine.module())) > 4


def test_a_recipe_that_cannot_be_done_is_refused(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timm()
    import timm.data as data

    real = data.resolve_model_data_config
    for change in ({"crop_mode": "border"}, {"input_size": (1, 176, 176)}, {"input_size": (3, 2000, 2000)}):
        monkeypatch.setattr(data, "resolve_model_data_config", lambda one, change=change: real(one) | change)
        with pytest.raises(UsageError, match="architecture: its preprocessing is none that can be done here"):
            made(weights)
    monkeypatch.setattr(
        data, "resolve_model_data_config", lambda one: real(one) | {"crop_mode": "squash", "crop_pct": 1.0}
    )
    assert made(weights).preprocessing()["center_crop"] is None


def test_the_page_names_a_network_of_each_family_that_timm_has() -> None:
    families = (
        "resnet",
        "resnext",
        "inception",
        "xception",
        "densenet",
        "dpn",
        "senet",
        "nasnet",
        "pnasnet",
        "vgg",
        "mobilenet",
    )
    assert {one for one in families if not any(one in name for name in FAMILIES)} == set()
    assert {name for name in FAMILIES if not timm().is_model(name)} == set()
    assert [name for name in timm().list_models() if "shufflenet" in name] == []


@pytest.mark.soak
@pytest.mark.parametrize("architecture", FAMILIES)
def test_each_family_gives_features_and_a_graph(architecture: str, tmp_path: Path) -> None:
    import onnxruntime as ort
    import torch

    found = made(written(tmp_path / "w.safetensors", architecture), architecture)
    assert found.columns == {"embedding": f"float16[{FAMILIES[architecture]}]"}
    height, width = found.preprocessing()["size"]
    some = torch.randn(2, 3, height, width)
    with torch.inference_mode():
        wanted = found.module()(some).numpy()
    session = ort.InferenceSession(found.graph(), providers=["CPUExecutionProvider"])
    (said,) = session.run(None, {"pixels": some.numpy()})
    assert said.shape == wanted.shape == (2, FAMILIES[architecture])
    assert np.abs(said - wanted).max() < 1e-5 * max(1, np.abs(wanted).max())
