"""Makes the twelve pictures beside this file, of photographs in the public domain (CC0) that scikit-image ships.

python -m tests.support.nsfwjs.pictures        once; then answers.mjs asks the package about them
"""

from pathlib import Path

from PIL import Image

from tests.support.pictures import photograph, texture

HERE = Path(__file__).parent
# name -> size: what a network's input is made of by shrinking, by stretching, of a strip, of a few pixels, of itself
SIZES = {
    "astronaut.png": (250, 250),
    "camera.png": (96, 96),
    "chelsea.png": (224, 224),
    "coffee.png": (180, 120),
    "coins.png": (97, 131),
    "brick.png": (40, 200),
    "grass.png": (64, 64),
    "gravel.png": (5, 7),
    "hubble_deep_field.jpg": (120, 100),
    "moon.png": (300, 150),
    "rocket.jpg": (160, 90),
}


def main() -> None:
    """Write them as PNG: what is decoded is the same everywhere."""
    for name, size in SIZES.items():
        made = photograph(name).resize(size, Image.Resampling.LANCZOS)
        made.save(HERE / f"{name.partition('.')[0]}.png", optimize=True)
    texture(7, (110, 140)).save(HERE / "texture.png", optimize=True)


if __name__ == "__main__":
    main()
