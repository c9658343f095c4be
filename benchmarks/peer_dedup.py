"""What imagededup and cleanvision make of a folder; runs under the peer's own interpreter, and imports nothing of ours.

peer/bin/python benchmarks/peer_dedup.py FOLDER OUT.json
"""

import json
import sys
import time
from pathlib import Path
from typing import Any


def main(folder: str, out: str) -> None:
    """Write {"hashes": {method: {file: hex}}, "cnn": ..., "cleanvision": [[file, ...], ...], "seconds": {...}}."""
    found: dict[str, Any] = {"hashes": {}, "seconds": {}}
    from imagededup import methods

    for name in ("PHash", "DHash", "WHash", "AHash"):
        begin = time.perf_counter()
        found["hashes"][name] = getattr(methods, name)(verbose=False).encode_images(folder, num_enc_workers=2)
        found["seconds"][name] = time.perf_counter() - begin
    found["cnn"] = _cnn(folder)
    found["cleanvision"] = _cleanvision(folder)
    Path(out).write_text(json.dumps(found))


def _cnn(folder: str) -> object:
    """Vectors by file, or why there are none (its weights are downloaded when it is first used)."""
    import torch
    from imagededup.methods import CNN

    torch.hub.set_dir(str(Path(folder).parent / "hub"))
    try:
        encoder = CNN(verbose=False)
    except Exception as error:  # noqa: BLE001
        return f"{type(error).__name__}: {str(error)[:200]}"
    return {name: vector.tolist() for name, vector in encoder.encode_images(folder).items()}


def _cleanvision(folder: str) -> object:
    """Sets of files that it calls exact or near duplicates."""
    from cleanvision import Imagelab

    lab = Imagelab(data_path=folder)
    lab.find_issues({"exact_duplicates": {}, "near_duplicates": {}}, n_jobs=2, verbose=False)
    sets = [one for kind in ("exact_duplicates", "near_duplicates") for one in lab.info[kind]["sets"]]
    return [[Path(path).name for path in some] for some in sets]


if __name__ == "__main__":
    main(*sys.argv[1:])
