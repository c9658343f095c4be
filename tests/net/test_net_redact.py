"""What is printed or exported of a URL lets nobody in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.net.redact import redact

SECRET = "c0ffee" * 8
CASES = {
    f"https://user:{SECRET}@example.org/x.jpg": "https://example.org/x.jpg",
    f"https://{SECRET}@example.org/": "https://example.org/",
    f"https://u:p@ss:{SECRET}@example.org/": "https://example.org/",
    f"//{SECRET}@example.org/x": "//example.org/x",
    f"https://preview.redd.it/a.jpg?width=640&auto=webp&s={SECRET}": "https://preview.redd.it/a.jpg?width=640&auto=webp&s=REDACTED",
    f"https://b.s3.amazonaws.com/k?X-Amz-Date=2&X-Amz-Signature={SECRET}&x-amz-security-token={SECRET}": "https://b.s3.amazonaws.com/k?X-Amz-Date=REDACTED&X-Amz-Signature=REDACTED&x-amz-security-token=REDACTED",
    f"https://b.s3.amazonaws.com/k?AWSAccessKeyId=A&Expires=1&Signature={SECRET}": "https://b.s3.amazonaws.com/k?AWSAccessKeyId=REDACTED&Expires=1&Signature=REDACTED",
    f"https://d.cloudfront.net/k?Policy={SECRET}&Key-Pair-Id=K&Signature={SECRET}~": "https://d.cloudfront.net/k?Policy=REDACTED&Key-Pair-Id=REDACTED&Signature=REDACTED",
    f"https://a.blob.core.windows.net/c?sv=2020&sig={SECRET}%3D": "https://a.blob.core.windows.net/c?sv=2020&sig=REDACTED",
    f"https://storage.googleapis.com/b?X-Goog-Signature={SECRET}": "https://storage.googleapis.com/b?X-Goog-Signature=REDACTED",
    f"https://cdn.discordapp.com/a?ex=1&is=2&hm={SECRET}": "https://cdn.discordapp.com/a?ex=1&is=2&hm=REDACTED",
    f"https://example.org/?access_token={SECRET}&api_key={SECRET};token={SECRET}": "https://example.org/?access_token=REDACTED&api_key=REDACTED;token=REDACTED",
    f"https://example.org/#access_token={SECRET}": "https://example.org/#access_token=REDACTED",
    f"https://example.org/?%73ig={SECRET}": "https://example.org/?%73ig=REDACTED",
    f"https://proxy.example/?url=https%3A%2F%2Fu:{SECRET}%40h%2Fx%3Ftoken%3D{SECRET}%26w%3D1": "https://proxy.example/?url=https%3A%2F%2Fh%2Fx%3Ftoken%3DREDACTED%26w%3D1",
    f"https://web.archive.org/https://u:{SECRET}@h/?key={SECRET}": "https://web.archive.org/https://h/?key=REDACTED",
    f"not a URL ?token={SECRET}": "not a URL ?token=REDACTED",
    "https://example.org/a@b/c?s=200&width=640&page=2#top": "https://example.org/a@b/c?s=200&width=640&page=2#top",
    "https://upload.wikimedia.org/wikipedia/commons/a/a1/X.jpg": "https://upload.wikimedia.org/wikipedia/commons/a/a1/X.jpg",
    "": "",
}  # fmt: skip


@pytest.mark.parametrize("url", CASES, ids=lambda url: url.replace(SECRET, "*")[:60])
def test_secrets_go_and_the_rest_stays(url: str) -> None:
    assert redact(url) == CASES[url]


@given(st.text())
def test_any_text_can_be_redacted_and_twice_is_once(text: str) -> None:
    assert redact(redact(text)) == redact(text)


KEYS = st.sampled_from(
    ["sig", "Signature", "token", "X-Amz-Credential", "api_key", "password", "s", "hm", "access_token"]
)


@given(st.lists(st.tuples(st.one_of(KEYS, st.sampled_from("abcxyz")), st.integers(0, 999)), max_size=6), KEYS)
def test_a_secret_is_gone_wherever_it_stands(fields: list[tuple[str, int]], key: str) -> None:
    query = [f"{name}={value}" for name, value in fields]
    for place in range(len(query) + 1):
        url = "https://u:" + SECRET + "@example.org/p?" + "&".join([*query[:place], f"{key}={SECRET}", *query[place:]])
        assert SECRET not in redact(url)
