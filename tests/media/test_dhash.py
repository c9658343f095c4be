"""dHash and wHash of thumbnails: what each bit says, the same in any company, and nothing of plain pictures."""

import numpy as np
import pytest
from PIL import Image

from curate.media import dhash, phash
from tests.support.pictures import photograph, texture


def thumb(image: Image.Image) -> np.ndarray:
    return np.frombuffer(phash.columns_of(image)["thumb"], dtype=np.uint8)


def ramp() -> np.ndarray:
    """Lighter to the right, by eight levels a pixel; the same in every row."""
    return np.tile(np.arange(phash.THUMB, dtype=np.uint8) * 8, phash.THUMB)


def test_each_bit_says_where_it_grows_lighter() -> None:
    across, down, blocks, quality = dhash.hashes(np.stack([ramp(), ramp()[::-1], ramp().reshape(32, 32).T.ravel()]))
    assert [one.tobytes() for one in across] == [b"\xff" * 8, bytes(8), bytes(8)]
    assert [one.tobytes() for one in down] == [bytes(8), bytes(8), b"\xff" * 8]
    assert blocks[0].tobytes() == b"\x0f" * 8
    assert quality.tolist() == [0, 0, 0], "nothing changes the other way"


@pytest.mark.parametrize("count", [0, 1, 5])
def test_a_hash_is_the_same_in_any_company(count: int) -> None:
    thumbs = np.stack([thumb(texture(seed)) for seed in range(5)])[:count]
    whole = dhash.hashes(thumbs)
    assert [len(one) for one in whole] == [count] * 4
    for row in range(count):
        assert all(
            np.array_equal(one[row], alone[0]) for one, alone in zip(whole, dhash.hashes(thumbs[[row]]), strict=True)
        )


def test_a_copy_is_near_and_a_stranger_is_not() -> None:
    photo = photograph()
    thumbs = np.stack([thumb(photo), thumb(photo.resize((200, 200))), thumb(texture(3))])
    for hashes in dhash.hashes(thumbs)[:3]:
        words = hashes.view(np.uint64)[:, 0]
        assert np.bitwise_count(words[0] ^ words[1]) <= 4
        assert np.bitwise_count(words[0] ^ words[2]) > 15
