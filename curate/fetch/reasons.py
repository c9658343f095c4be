"""Why a candidate failed, in a sentence for people, and which settings of curate.toml decide that."""

from collections.abc import Mapping

from curate.config import FetchConfig
from curate.records import Reason

MEANING: dict[Reason, str] = {
    Reason.MALFORMED_URL: "The line is not a URL.",
    Reason.UNSUPPORTED_SCHEME: "Only http and https are fetched.",
    Reason.BLOCKED_SOURCE: "The source is on the list of collections that are never fetched.",
    Reason.DENIED_CATEGORY: "The category is one that the configuration denies.",
    Reason.ROBOTS_DISALLOWED: "The site's robots.txt asks not to fetch this.",
    Reason.OPT_OUT_HEADER: "The server's answer opts out of this use.",
    Reason.ADDRESS_DENIED: "The host, or a redirect, leads to a private or reserved address ([fetch] allow_private).",
    Reason.PORT_DENIED: "The port is not among those that may be asked ([fetch] allow_ports).",
    Reason.DNS: "The host's name could not be resolved.",
    Reason.CONNECT: "No connection to the host.",
    Reason.HOST_DOWN: "The host failed so often that nothing more was asked of it in this run.",
    Reason.TLS: "The host's certificate or encryption is not acceptable.",
    Reason.MALFORMED_ANSWER: "What the server sent is no HTTP answer, or contradicts itself.",
    Reason.TIMEOUT: "No whole answer in the time allowed.",
    Reason.TOO_SLOW: "The answer came in, or the file could be looked at, too slowly to wait for.",
    Reason.HTTP_401_403: "The server refuses access.",
    Reason.HTTP_404: "The server has nothing at this address.",
    Reason.HTTP_410: "The server says that it is gone for good.",
    Reason.HTTP_451: "Withheld for legal reasons.",
    Reason.HTTP_429_RATE: "The server asks for fewer requests.",
    Reason.HTTP_4XX: "The server refused the request.",
    Reason.HTTP_5XX: "The server failed.",
    Reason.THUMB_SIZE_NOT_ALLOWED: "The server does not give thumbnails of this size.",
    Reason.API_ERROR: "The source's API answered with an error.",
    Reason.MAXLAG: "The source's servers are behind and ask to come back later.",
    Reason.TOO_MANY_REDIRECTS: "One redirect after another, beyond the limit.",
    Reason.ENCODING_DENIED: "The answer is compressed in a way that is not accepted.",
    Reason.BOMB: "The answer unpacks to far more than it says.",
    Reason.TOO_LARGE: "More bytes than [fetch] max_bytes allows, or more memory than a file may take.",
    Reason.TOO_SMALL: "Fewer pixels a side than [fetch] min_side allows.",
    Reason.TOO_MANY_PIXELS: "More pixels than [fetch] max_pixels allows.",
    Reason.TOO_MANY_FRAMES: "More frames or pages than [fetch] max_frames allows.",
    Reason.POLYGLOT: "An image that is something else as well: an archive, a document, a script, data after its end.",
    Reason.HIDDEN_DATA: "The file holds more beside its picture than can be looked into, so nothing of it is kept.",
    Reason.TRUNCATED: "The file ends too early.",
    Reason.HTML_INSTEAD_OF_MEDIA: "A web page under an image's name.",
    Reason.UNSUPPORTED_MIME: "Not an image in a format that is taken.",
    Reason.DECODE_ERROR: "The file says that it is an image, and cannot be decoded.",
    Reason.WORKER_DIED: "The process that looked at the file ended over it, or said what can be no answer.",
    Reason.PLACEHOLDER: "A picture that says that the picture is gone.",
    Reason.HASH_MISMATCH: "Not the bytes that the source names.",
    Reason.FILE_MISSING: "The file is not there, or cannot be read.",
    Reason.LICENSE_MISSING: "No licence is given where one is required.",
    Reason.LICENSE_DENIED: "The licence is not among those that are accepted.",
    Reason.SOURCE_WITHDRAWN: "The source has withdrawn the item.",
    Reason.UPSTREAM_DELETED: "The item was deleted where it came from.",
    Reason.GATE_UNAVAILABLE: "Screening could not answer, so nothing was kept.",
    Reason.GATE_MATCH: "A screening list matched; nothing of the item was kept.",
    Reason.TAKEN_DOWN: "The item was taken down; it does not come back.",
}
KEYS: Mapping[Reason, tuple[str, ...]] = {  # of `[fetch]` or `[engine]`: those that let in what fails for this reason
    Reason.ADDRESS_DENIED: ("allow_private",),
    Reason.PORT_DENIED: ("allow_ports", "allow_private"),
    Reason.ROBOTS_DISALLOWED: ("robots",),
    Reason.OPT_OUT_HEADER: ("opt_out",),
    Reason.TOO_MANY_REDIRECTS: ("max_redirects",),
    Reason.TIMEOUT: ("timeout", "connect_timeout"),
    Reason.TOO_SLOW: ("timeout", "min_rate", "item_seconds"),
    Reason.TOO_LARGE: ("max_bytes", "item_memory"),
    Reason.BOMB: ("max_bytes",),
    Reason.TOO_SMALL: ("min_side",),
    Reason.TOO_MANY_PIXELS: ("max_pixels",),
    Reason.TOO_MANY_FRAMES: ("max_frames", "max_pixels"),
    Reason.HIDDEN_DATA: ("strip",),
    Reason.PLACEHOLDER: ("placeholder_urls",),
}


def table_of(key: str) -> str:
    """The table of curate.toml that a setting stands in."""
    return "fetch" if hasattr(FetchConfig, key) else "engine"


def settings(reason: str) -> str:
    """The keys of curate.toml that let in what fails for this reason, in words; empty where none does."""
    keys = next((keys for one, keys in KEYS.items() if one == reason), ())
    return " or ".join(f"[{table_of(key)}] {key}" for key in keys)
