"""How many pictures a second and core the labeler `words` reads: names of 6 words, texts of 30, 5 categories."""

import random
import re
import time
from pathlib import Path

from curate.media.decoded import StoredImage
from curate.records import Sample
from labelers.words import Words

N, CATEGORIES = 20_000, 4_000
SAMPLE = Sample("0" * 64, "", "", 0, "image/png", 0, 0)
OTHER = " Père Noël à l'école, пейзаж с рекой"  # what makes a text one of another script


def pictures(foreign: bool) -> list[StoredImage]:
    """Pictures that say words of our own documents; categories are shared, as on Commons."""
    draw = random.Random(1)
    words = re.findall(r"\w+", (Path(__file__).parents[1] / "docs" / "decisions.md").read_text(encoding="utf-8"))
    categories = [" ".join(draw.choices(words, k=4)) for _ in range(CATEGORIES)]
    made = []
    for n in range(N):
        title = " ".join(draw.choices(words, k=6)) + f" {n}.jpg"
        text = " ".join(draw.choices(words, k=30)) + OTHER * foreign
        some = tuple(draw.choices(categories, k=5))
        made.append(
            StoredImage(SAMPLE, {}, bytes, title=title, file_name=title, description=text, categories=some, host="x")
        )
    return made


def main() -> None:
    """Print the rates, in CPU seconds."""
    labeler = Words()
    labeler.load()
    for name, foreign in (("ASCII", False), ("other scripts, too", True)):
        batch = pictures(foreign)
        started = time.process_time()
        labeler.label(batch)
        print(f"{name:<20} {N / (time.process_time() - started):,.0f} pictures/s")


if __name__ == "__main__":
    main()
