"""A report shows small pictures, obscured unless all is called safe, and of what is held back none."""

import base64
import io
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from curate.config import Config
from curate.media import thumbnail
from curate.records import Axis, Taxonomy
from curate.report import contact_sheet
from curate.store.catalog import now
from tests.support.report_pages import OFF, PICTURE, Builder, Page, assert_sealed, png, shown, stocked_set, written


def jpeg_with_secrets() -> bytes:
    """A JPEG whose EXIF and comment say what a thumbnail must not."""
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "SECRET-DESCRIPTION"
    image = Image.open(io.BytesIO(png(7, 300)))
    image.save(out, "JPEG", quality=95, exif=exif, comment=b"SECRET-COMMENT")
    return out.getvalue()


def assert_obscured(text: str) -> None:
    """Every picture is grey, and small enough to hold nothing."""
    pictures = shown(text)
    assert pictures
    for picture in pictures:
        assert picture.mode == "L"
        assert max(picture.size) <= 8
    assert "Obscured." in text
    assert "image/jpeg" not in text


def assert_clear(text: str) -> None:
    pictures = shown(text)
    assert pictures
    assert all(picture.mode == "RGB" and max(picture.size) > 8 for picture in pictures)
    assert "Obscured." not in text


def test_what_is_called_safe_is_seen(build: Builder) -> None:
    stocked_set(build)
    assert contact_sheet.dangers(build.ws) == []
    assert_clear(written(build))


def test_one_class_that_is_not_safe_obscures_everything(build: Builder) -> None:
    ids = stocked_set(build)
    build.mention(2, "urllist:aa", "sexy", "other.txt:1")
    assert contact_sheet.dangers(build.ws) == ["content: 'sexy' is not a class that the taxonomy calls safe"]
    text = written(build)
    assert_obscured(text)
    assert len(shown(text)) == 5
    original = np.asarray(Image.open(io.BytesIO(png(1))).convert("L"), dtype=float)
    blocks = original.reshape(8, 8, 8, 8).mean(axis=(1, 3))
    assert any(np.abs(np.asarray(one, dtype=float) - blocks).max() <= 1 for one in shown(text)), ids


def test_a_failed_candidate_of_another_class_obscures_everything(build: Builder) -> None:
    stocked_set(build)
    build.fail("urllist:aa", "http_404", "porn")
    assert_obscured(written(build))


def test_a_mention_without_a_class_obscures_everything(build: Builder) -> None:
    stocked_set(build)
    build.fail("urllist:aa", "http_404", None)
    assert_obscured(written(build))


def test_a_sample_that_nobody_names_obscures_everything(build: Builder) -> None:
    stocked_set(build)
    build.sql("UPDATE candidates SET sample = NULL, state = 'pending' WHERE candidate = 2")
    assert_obscured(written(build))


def test_a_weak_label_that_is_not_safe_obscures_everything(build: Builder) -> None:
    ids = stocked_set(build)
    build.label({ids["drawing"]: ("hentai", 0.6)}, {"functions": []})  # though a person says drawings
    assert_obscured(written(build))


def test_a_person_who_says_not_safe_obscures_everything_until_it_is_taken_back(build: Builder) -> None:
    ids = stocked_set(build)
    decision = build.decide(ids["first"], "unsure")
    assert_obscured(written(build))
    build.decide(ids["first"], "unsure", undoes=decision)
    assert_clear(written(build))


def test_every_axis_counts(tmp_path: Path) -> None:
    medium = Axis("medium", ("photograph", "drawing"), ("photograph", "drawing"), ())
    builder = Builder(tmp_path, Config(screening=OFF, taxonomy=Taxonomy(axes=(Axis(), medium))))
    source = builder.source("urllist:aa")
    builder.store(source, png(1))
    assert_obscured(written(builder))
    builder.sql("INSERT INTO declared SELECT candidate, source, ref, 'medium', 'photograph' FROM mentions")
    assert_clear(written(builder))
    builder.sql("INSERT INTO declared SELECT candidate, source, ref, 'mood', 'calm' FROM mentions")
    assert_obscured(written(builder))
    builder.ws.close()


@settings(max_examples=12)
@given(
    st.lists(
        st.sampled_from(["neutral", "drawings", "neutral", "drawings", "sexy", "porn", None]), min_size=1, max_size=4
    )
)
def test_clear_means_that_all_is_safe(labels: list[str | None]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        builder = Builder(Path(folder), Config(screening=OFF))
        source = builder.source("urllist:aa")
        for seed, label in enumerate(labels):
            builder.store(source, png(seed, 16), label)
        text = written(builder)
        builder.ws.close()
    (assert_clear if set(labels) <= {"neutral", "drawings"} else assert_obscured)(text)


def test_what_is_held_is_nowhere(build: Builder) -> None:
    ids = stocked_set(build)
    text = written(build)
    assert ids["held"][:10] not in text
    assert thumbnail_of(png(5)) not in text
    assert thumbnail_of(png(1)) in text
    build.sql("UPDATE mentions SET album = 'gallery' WHERE candidate = 1")
    build.sql("INSERT INTO quarantine VALUES ('album', 'gallery', NULL, 'reported', ?)", now())
    assert thumbnail_of(png(1)) not in written(build)


@pytest.mark.parametrize("label", ["neutral", "porn", None])
def test_what_may_show_minors_is_never_beside_what_is_not_safe(build: Builder, label: str | None) -> None:
    """Not even obscured: while anything here is not known to be safe, it is not in the sheet, nor in a group."""
    source = build.source("urllist:aa")
    marked, other = build.store(source, png(1, 16), "neutral"), build.store(source, png(2, 16), label)
    for name in (marked, other):
        build.member(name, "g", name)
    build.sql("UPDATE candidates SET may_depict_minors = 1 WHERE sample = ?", marked)
    text = written(build)
    assert (marked[:10] in text) == (label == "neutral")
    assert (other[:10] in text) == (label == "neutral"), "its near-duplicates are kept apart with it"
    build.sql("DELETE FROM members")
    build.member(marked, marked, marked)
    build.member(other, other, other)
    text = written(build)
    assert (marked[:10] in text) == (label == "neutral")
    assert other[:10] in text


def thumbnail_of(data: bytes) -> str:
    return base64.b64encode(thumbnail.clear(Image.open(io.BytesIO(data)))).decode()


def test_a_thumbnail_is_no_ones_bytes(build: Builder) -> None:
    data = jpeg_with_secrets()
    build.store(build.source("urllist:aa"), data)
    text = written(build)
    (picture,) = shown(text)
    (encoded,) = PICTURE.findall(text)
    assert max(picture.size) <= thumbnail.SIDE
    assert b"SECRET" not in base64.b64decode(encoded)
    assert not picture.getexif()
    assert "comment" not in picture.info
    assert b"SECRET" in data


@given(st.integers(1, 900), st.integers(1, 900), st.sampled_from(["RGB", "L", "RGBA"]))
@settings(max_examples=40)
def test_thumbnails_of_any_shape(width: int, height: int, mode: str) -> None:
    image = Image.new(mode, (width, height), 90)
    clear = Image.open(io.BytesIO(thumbnail.clear(image.convert("RGB"))))
    small = Image.open(io.BytesIO(thumbnail.obscured(image)))
    assert max(clear.size) <= thumbnail.SIDE
    assert max(small.size) <= thumbnail.CELLS
    assert (clear.mode, small.mode) == ("RGB", "L")


def test_bytes_that_are_gone_leave_a_gap(build: Builder) -> None:
    ids = stocked_set(build)
    build.ws.blobs.delete(ids["drawing"])
    build.ws.blobs.path(ids["first"]).write_bytes(b"no image at all")
    page = assert_sealed(written(build))
    assert page.text.count("unreadable") == 3  # one of them in the sheet and in its group
    assert len(page.of("img")) == 2


def test_a_sheet_shows_many_groups_before_it_repeats_one(build: Builder) -> None:
    source = build.source("urllist:aa")
    ids = sorted(build.store(source, png(n, 16)) for n in range(60))
    for name in ids[:50]:
        build.member(name, "one large group", name)
    for name in ids[50:]:
        build.member(name, name, name)
    chosen = contact_sheet.choose(build.ws, build.ws.config.taxonomy.first, {})
    assert list(chosen) == ["unlabelled"]
    assert chosen["unlabelled"] == [ids[0], *ids[50:], *ids[1 : contact_sheet.PER_CLASS - 10]]


def test_groups_are_shown_as_what_they_are(build: Builder) -> None:
    source = build.source("urllist:aa")
    ids = sorted(build.store(source, png(n, 16)) for n in range(14))
    for name in ids[:10]:
        build.member(name, "g10", ids[3])
    for name in ids[10:12]:
        build.member(name, "g2", name)
    for name in ids[12:]:
        build.member(name, name, name)
    first, second = contact_sheet.largest(build.ws)
    assert (first["group"], first["size"], len(first["members"])) == ("g10", 10, contact_sheet.MEMBERS)
    assert first["members"][0] == (False, ids[3])
    assert (second["group"], second["members"]) == ("g2", [(False, ids[10]), (False, ids[11])])
    page = Page(written(build))
    assert page.text.count("collapsed") == 7 + 2  # and in the two lines that explain it
