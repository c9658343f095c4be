"""`[engine] device`: what networks run on, and that another device's answers are kept apart."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curate.admin import configured
from curate.config import Config, EngineConfig
from curate.errors import UsageError
from curate.features import devices
from curate.linear import Examples, fit
from curate.options import Plugin
from curate.plugins import fingerprint_of
from curate.testing.made import pictures
from labelers.efficientnet_lite0 import EfficientnetLite0

HERE = devices.found("auto")
GRAPHICS = pytest.mark.skipif(HERE == devices.CPU, reason="no graphics processor that torch can use")


def of(device: Any, *uses: str) -> Config:
    return Config(engine=EngineConfig(device=device), labelers=tuple(Plugin(use) for use in uses))


def test_the_cpu_is_always_there_and_what_is_not_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert devices.found("cpu") == "cpu"
    monkeypatch.setattr(devices, "_lacking", {"cuda": "no device", "mps": "no macOS"}.get)
    assert devices.found("auto") == "cpu"
    with pytest.raises(UsageError, match=r"engine\.device: mps: no macOS; cpu always works"):
        devices.found("mps")
    monkeypatch.setattr(devices, "_lacking", {"cuda": "no device"}.get)
    assert devices.found("auto") == "mps"
    with pytest.raises(UsageError, match="cuda: no device"):
        configured.labelers(of("cuda", "quality"))


def test_no_torch_is_imported_to_find_that_there_is_no_device(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = "import sys; from curate.features import devices; devices.found('auto'); print('torch' in sys.modules)"
    if HERE == devices.CPU:
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert run.stdout.strip() == "False"


def test_a_network_is_placed_and_its_answers_are_a_table_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    (cpu,) = configured.labelers(of("cpu", "efficientnet_lite0"))
    monkeypatch.setattr(devices, "found", lambda wanted: "cuda" if wanted == "auto" else "cpu")
    there, quality = configured.labelers(of("auto", "efficientnet_lite0", "quality"))
    assert [devices.device_of(one) for one in (cpu, there, quality)] == ["cpu", "cuda", "cpu"]
    assert fingerprint_of(there) != fingerprint_of(cpu) == fingerprint_of(EfficientnetLite0())


def test_an_onnxruntime_for_the_cpu_alone_is_asked_for_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime as ort

    monkeypatch.setattr(devices, "found", lambda _: "cuda")
    for use in ("nsfwjs", "open_nsfw"):
        monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
        (one,) = configured.labelers(of("auto", use))
        assert devices.device_of(one) == "cpu"
        monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
        (one,) = configured.labelers(of("auto", use))
        assert devices.device_of(one) == "cuda"


@GRAPHICS
def test_a_graphics_processor_says_what_the_cpu_says() -> None:
    one, other = EfficientnetLite0(), devices.placed(EfficientnetLite0(), "auto")
    found = []
    for labeler in (one, other):
        labeler.load()
        found.append(labeler.label(pictures())["embedding"].astype(np.float32))
    assert devices.device_of(other) == HERE
    np.testing.assert_allclose(found[1], found[0], atol=5e-3)  # float16 of numbers up to 6


@GRAPHICS
def test_a_head_fitted_there_says_the_same_and_again_the_same_bytes() -> None:
    rng = np.random.default_rng(0)
    rows, truth = rng.standard_normal((3000, 64), dtype=np.float32), rng.integers(0, 3, 3000)
    rows[np.arange(3000), truth] += 2
    every = Examples(rows, truth, np.ones(3000, dtype=np.float32))
    parts = every.pick(np.arange(2000)), every.pick(np.arange(2000, 3000))
    cpu, there, again = (fit(*parts, 3, Config().train, device) for device in ("cpu", HERE, HERE))
    np.testing.assert_allclose(there.probabilities(rows), cpu.probabilities(rows), atol=1e-3)
    np.testing.assert_array_equal(there.weight, again.weight)


@GRAPHICS
@pytest.mark.parametrize("confine", ["auto", "off"])
def test_workers_score_there_behind_their_door(confine: Any, tmp_path: Path) -> None:
    from curate.engine.pool import Pool
    from curate.features import scores
    from curate.progress import Progress
    from tests.support.samples import store, workspace

    ws = workspace(tmp_path)
    ids = store(ws, [one.read() for one in pictures()])
    found = []
    for device in ("cpu", "auto"):
        labeler = devices.placed(EfficientnetLite0(), device)
        engine = Pool(2, confine=confine)
        scores.compute(ws, engine, [labeler], Progress(quiet=True))
        found.append(scores.read(ws, labeler, ids)["embedding"].astype(np.float32))
    np.testing.assert_allclose(found[1], found[0], atol=5e-3)
