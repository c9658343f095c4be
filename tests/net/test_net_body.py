"""Decoding of bodies: whatever the pieces, the same bytes, never more of them at once than allowed."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import ItemError
from curate.net.body import MEMBERS, PIECE, Inflate, Pace
from curate.records import Reason
from tests.support.net_server import packed

WAYS = [("gzip", 31), ("deflate", 15), ("deflate", -15)]


def decode(encoding: str, data: bytes, step: int) -> list[bytes]:
    inflate = Inflate(encoding)
    pieces = [piece for n in range(0, len(data), step) for piece in inflate.pieces(data[n : n + step])]
    inflate.finish()
    assert inflate.consumed == len(data)
    return pieces


@given(st.sampled_from(WAYS), st.binary(max_size=3000), st.integers(1, 50), st.integers(1, 40))
def test_any_body_in_any_pieces_comes_out_as_it_went_in(
    way: tuple[str, int], body: bytes, times: int, step: int
) -> None:
    assert b"".join(decode(way[0], packed(body * times, way[1]), step)) == body * times


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("more", range(-300, 600, 50))
def test_a_body_that_ends_where_a_piece_ends_is_whole(way: tuple[str, int], more: int) -> None:
    for extra in range(more, more + 50, 7):
        pieces = decode(way[0], packed(bytes(PIECE + extra), way[1]), 10**9)
        assert sum(map(len, pieces)) == PIECE + extra
        assert max(map(len, pieces)) <= PIECE


@given(st.lists(st.binary(max_size=99), min_size=1, max_size=MEMBERS), st.integers(1, 99))
def test_members_are_joined(members: list[bytes], step: int) -> None:
    assert b"".join(decode("gzip", b"".join(map(gzip.compress, members)), step)) == b"".join(members)


@given(st.sampled_from(WAYS), st.binary(min_size=1, max_size=200), st.data())
def test_a_body_cut_short_or_damaged_never_passes_for_whole(
    way: tuple[str, int], body: bytes, data: st.DataObject
) -> None:
    whole = packed(body, way[1])
    cut = data.draw(st.integers(1, len(whole) - 1))
    with pytest.raises(ItemError) as caught:
        decode(way[0], whole[:cut], 10)
    assert caught.value.reason in (Reason.TRUNCATED, Reason.ENCODING_DENIED)


def test_too_slow_is_less_than_the_rate_after_the_grace() -> None:
    pace = Pace(min_rate=100, grace=2)
    pace.check(0, 2)
    pace.check(1000, 12)
    for received, seconds in ((0, 2.1), (1000, 12.1)):
        with pytest.raises(ItemError) as caught:
            pace.check(received, seconds)
        assert caught.value.reason is Reason.TOO_SLOW
