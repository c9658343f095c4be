"""Draws docs/images/layers.svg from docs/layers.txt: `python docs/draw_layers.py`."""

from pathlib import Path
from xml.sax.saxutils import escape

HERE = Path(__file__).resolve().parent
WIDTH, ROW, GAP, FONT = 880, 34, 8, 14


def picture(table: str) -> str:
    """The table as SVG, the highest layer on top."""
    layers = [line.split() for line in table.splitlines() if not line.startswith("#")]
    parts = []
    for row, names in enumerate(reversed(layers)):
        y = GAP + row * (ROW + GAP)
        number = len(layers) - row
        parts.append(f'<text x="14" y="{y + 22}" class="n">{number}</text>')
        box = (WIDTH - 50 - GAP * len(names)) / len(names)
        for column, name in enumerate(names):
            x = 44 + column * (box + GAP)
            parts.append(f'<rect x="{x:.1f}" y="{y}" width="{box:.1f}" height="{ROW}" rx="5"/>')
            parts.append(f'<text x="{x + box / 2:.1f}" y="{y + 22}" class="t">{escape(name)}</text>')
    height = GAP + len(layers) * (ROW + GAP)
    style = (
        f"text{{font:{FONT}px sans-serif;fill:#1f2933}}.t{{text-anchor:middle}}.n{{fill:#7b8794}}"
        "rect{fill:#e4eef7;stroke:#9fb3c8}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">'
        f"<title>Layers of curate: each row imports only rows below it</title><style>{style}</style>"
        f'<rect width="{WIDTH}" height="{height}" style="fill:#fff;stroke:none"/>{"".join(parts)}</svg>\n'
    )


if __name__ == "__main__":
    (HERE / "images" / "layers.svg").write_text(picture((HERE / "layers.txt").read_text("utf-8")), encoding="utf-8")
