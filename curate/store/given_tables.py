"""The table of what releases that are fetched anew say of their items."""

GIVEN = """
-- `id`: the sha256 that the bytes must have; `rendition`: the size of other bytes that are taken, too (640x480).
CREATE TABLE given (
    candidate INTEGER NOT NULL, source TEXT NOT NULL, ref TEXT NOT NULL, id TEXT NOT NULL, split TEXT NOT NULL,
    grp TEXT NOT NULL, rendition TEXT, PRIMARY KEY (candidate, source, ref),
    FOREIGN KEY (candidate, source, ref) REFERENCES mentions (candidate, source, ref) ON DELETE CASCADE
) WITHOUT ROWID
;;
CREATE INDEX given_id ON given (id)
"""

TAKEN_OUT = """
-- Samples that are held back and that a release (`source`) has no more: by its maker's feed of removals.
CREATE TABLE taken_out (sample TEXT NOT NULL, source TEXT NOT NULL, PRIMARY KEY (sample, source)) WITHOUT ROWID
"""

# Which sample is here for which item of a release: the very bytes, wherever they came from; those that were stored
# without their metadata; a rendition that was taken in the item's place.
_CAME = "rewritten without metadata; came with sha256 "
HERE = f"""
SELECT g.id, g.split, g.grp, s.id AS sample FROM given g JOIN samples s ON s.id = g.id
UNION SELECT g.id, g.split, g.grp, c.sample FROM candidates c JOIN given g
    ON g.id = substr(c.detail, {len(_CAME) + 1}, 64)
    WHERE c.sample IS NOT NULL AND substr(c.detail, 1, {len(_CAME)}) = '{_CAME}'
UNION SELECT g.id, g.split, g.grp, c.sample FROM given g JOIN candidates c USING (candidate)
    WHERE c.sample IS NOT NULL AND c.hash_check = 'rendition'
"""  # noqa: S608 (constants)
# Which sample is here of bytes that were stored without their metadata, whoever named them.
REWRITTEN = f"""
SELECT substr(detail, {len(_CAME) + 1}, 64) AS id, sample FROM candidates
WHERE sample IS NOT NULL AND substr(detail, 1, {len(_CAME)}) = '{_CAME}'
"""  # noqa: S608 (constants)


def rewritten(came: tuple[str, str, str]) -> str:
    """What `detail` says of a candidate that was stored without its metadata; sha256, sha1, md5 of what came."""
    return _CAME + "{}, sha1 {}, md5 {}".format(*came)


def came(detail: str | None) -> str | None:
    """The sha256 of what came, where a stored candidate's `detail` says that it was rewritten."""
    return detail[len(_CAME) :][:64] if detail is not None and detail.startswith(_CAME) else None
