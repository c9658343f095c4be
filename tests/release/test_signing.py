"""What leaves is signed by a key that receivers remember: what is not by it removes nothing, nor is it fetched."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

import curate
from curate.release import signing
from tests.support.calling_here import command
from tests.support.handed_on import N, Ours

MINISIGN = pytest.mark.skipif(
    shutil.which("minisign") is None and not os.environ.get("CI"), reason="no minisign (apt-get install minisign)"
)


@pytest.fixture
def ours(ours: Ours, tmp_path: Path) -> Ours:
    """The workspace whose release was made before it had a key, with a key and a second release."""
    signing.new(tmp_path / "secret.key")
    sign_by(ours, tmp_path / "secret.key")
    ours.project.export("1.0.1")
    return ours


def sign_by(ours: Ours, key: Path) -> None:
    path = ours.root / "curate.toml"
    text = path.read_text().replace("[export]\n", f'[export]\nsigning_key = "{key}"\n')
    path.write_text(text)


def at_an_address(ours: Ours) -> str:
    """All that is exported, at the site: its folders lie as they do here."""
    for path in ours.exports.rglob("*"):
        if path.is_file():
            ours.site.answers[f"/exports/{path.relative_to(ours.exports)}"] = (200, {}, path.read_bytes())
    return ours.site.url("/exports/1.0.1/urls")


@MINISIGN
def test_minisign_itself_reads_what_is_signed_and_signs_what_is_read(
    ours: Ours, partner: curate.Project, tmp_path: Path
) -> None:
    for path in (ours.exports / "1.0.1/urls/SHA256SUMS", ours.exports / "1.0.1/parquet/SHA256SUMS"):
        asked = ["minisign", "-Vm", str(path), "-p", str(path.with_name("minisign.pub"))]
        said = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
        assert "Trusted comment: file:SHA256SUMS release:1.0.1" in said
    assert subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=path.parent, check=False).returncode == 0
    feed = ours.exports / "removals.jsonl"
    asked = ["minisign", "-Vm", str(feed), "-p", str(tmp_path / "secret.key.pub")]
    subprocess.run(asked, check=True, capture_output=True)
    theirs = [tmp_path / "theirs.key", tmp_path / "theirs.pub"]
    made = ["minisign", "-G", "-W", "-s", str(theirs[0]), "-p", str(theirs[1])]
    subprocess.run(made, check=True, capture_output=True)
    assert signing.signer(theirs[0]) is not None
    for path in (ours.exports / "1.0.1/urls/SHA256SUMS", feed):  # old signatures, and those of minisign's older kind
        for kind in ("-l", "-H"):
            asked = ["minisign", "-S", kind, "-s", str(theirs[0]), "-m", str(path)]
            subprocess.run(asked, check=True, capture_output=True)
            signing.check(path, signing.public_key(str(theirs[1])), "it")
    assert partner.hydrate(ours.exports / "1.0.1/urls", key=theirs[1])["recovered"] == N


def test_a_feed_at_an_address_is_followed_where_it_is_signed(ours: Ours, partner: curate.Project) -> None:
    place = at_an_address(ours)
    assert partner.hydrate(place)["recovered"] == N
    gone = ours.row()["sha256"]
    ours.project.takedown(gone, "asked for")
    at_an_address(ours)
    found = partner.hydrate(place)
    assert (found["removed"], found["removals"]["path"]) == (1, ours.site.url("/exports/removals.jsonl"))
    assert gone not in set(partner.samples()["id"])
    assert ours.project.verify()["corrupt"] == ours.project.verify()["orphans"] == 0
    assert not list((partner.session.root / "work/spool").glob("*"))


def test_what_is_not_by_the_key_of_the_first_time_is_not_followed(
    ours: Ours, partner: curate.Project, tmp_path: Path
) -> None:
    place = at_an_address(ours)
    partner.hydrate(place, limit=2)
    ours.project.takedown(ours.row()["sha256"], "asked for")
    at_an_address(ours)
    signing.new(tmp_path / "mallory.key")
    mallory = signing.signer(tmp_path / "mallory.key")
    assert mallory is not None
    ours.site.asked.clear()
    answers, of_another_file = dict(ours.site.answers), (ours.exports / "1.0.1/parquet/SHA256SUMS.minisig").read_bytes()
    for name in ("removals.jsonl", "1.0.1/urls/SHA256SUMS"):
        mallory.sign(ours.exports / name, "file:any")
        of_another_key = signing.signature_of(ours.exports / name).read_bytes()
        for body in (None, b"\xff" * 300, b"", bytes(1 << 17), of_another_file, of_another_key):
            ours.site.answers.update(answers)
            ours.site.answers[f"/exports/{name}.minisig"] = (404, {}, b"") if body is None else (200, {}, body)
            if body is of_another_key:
                ours.site.answers["/exports/1.0.1/urls/minisign.pub"] = (200, {}, mallory.public_file)
            with pytest.raises(curate.GateError, match="is not signed by"):
                partner.hydrate(place)
    assert len(partner.samples()) == 2
    assert not [one for one in ours.site.asked if one.endswith(".png")], "no picture was asked for"


def test_a_header_that_was_not_signed_is_not_believed(ours: Ours, partner: curate.Project) -> None:
    urls = ours.exports / "1.0.1/urls"
    (urls / "release.json").write_text((urls / "release.json").read_text().replace("{", "{ ", 1))
    with pytest.raises(curate.GateError, match=r"release\.json is not the one that was signed"):
        partner.hydrate(urls)
    (urls / "minisign.pub").write_text("no key")
    with pytest.raises(curate.UsageError, match="no public key"):
        partner.hydrate(urls)


def test_a_signed_feed_stays_signed_wherever_it_is_read(ours: Ours, partner: curate.Project, tmp_path: Path) -> None:
    partner.hydrate(ours.exports / "1.0.1/urls")
    shutil.copytree(ours.exports / "1.0.0", tmp_path / "elsewhere/1.0.0")  # made before there was a key
    shutil.copy(ours.exports / "removals.jsonl", tmp_path / "elsewhere")
    with pytest.raises(curate.GateError, match="this feed was signed by"):
        partner.hydrate(tmp_path / "elsewhere/1.0.0/urls")


def test_another_key_is_taken_where_it_is_given(ours: Ours, partner: curate.Project, tmp_path: Path) -> None:
    partner.hydrate(ours.exports / "1.0.1/urls")
    public = signing.new(tmp_path / "second.key")
    (ours.root / "curate.toml").write_text(
        (ours.root / "curate.toml").read_text().replace("secret.key", "second.key"), encoding="utf-8"
    )
    shutil.rmtree(ours.exports / "1.0.1/urls")
    ours.project.verify(repair=True)
    ours.project.takedown(ours.row()["sha256"], "asked for")
    with pytest.raises(curate.GateError, match="is not signed by"):
        partner.hydrate(ours.exports / "1.0.1/urls")
    assert partner.hydrate(ours.exports / "1.0.1/urls", key=public)["removed"] == 1
    assert partner.hydrate(ours.exports / "1.0.1/urls")["removed"] == 0, "it is the one that is remembered"
    with pytest.raises(curate.UsageError, match="no public key"):
        partner.hydrate(ours.exports / "1.0.1/urls", key="RWQ nonsense")


def test_a_takedown_does_not_wait_for_a_key(ours: Ours, partner: curate.Project, tmp_path: Path) -> None:
    (tmp_path / "secret.key").rename(tmp_path / "away")
    ours.project.takedown(ours.row()["sha256"], "asked for")
    unsigned = [path for path in ours.exports.rglob("*") if path.suffix == signing.SUFFIX]
    assert not unsigned, "nothing bears the signature of what it was before"
    with pytest.raises(curate.UsageError, match="No such file"):
        ours.project.export("2.0.0")
    assert ours.project.verify()["missing"] == 5, "two formats of two releases, and the feed"
    (tmp_path / "away").rename(tmp_path / "secret.key")
    ours.project.verify(repair=True)
    assert sum(ours.project.verify()[kind] for kind in ("missing", "corrupt", "orphans")) == 0
    assert partner.hydrate(at_an_address(ours))["recovered"] == N - 1


def test_a_key_with_a_password(ours: Ours, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(signing.PASSWORD, "correct horse")
    public = signing.new(tmp_path / "locked.key")
    signer = signing.signer(tmp_path / "locked.key")
    assert signer is not None
    assert signer.public == public
    for word, says in ((None, "has a password"), ("wrong", "wrong password")):
        monkeypatch.setenv(signing.PASSWORD, word) if word else monkeypatch.delenv(signing.PASSWORD)
        with pytest.raises(curate.UsageError, match=says):
            signing.signer(tmp_path / "locked.key")
    (tmp_path / "noise").write_bytes(os.urandom(1 << 18))
    for wrong in ("noise", "locked.key.pub", "."):
        with pytest.raises(curate.UsageError, match=r"export\.signing_key"):
            signing.signer(tmp_path / wrong)


def test_keys_new(tmp_path: Path) -> None:
    code, out, _ = command(tmp_path, "keys", "new", str(tmp_path / "mine.key"), "--json")
    assert code == 0
    assert signing.public_key(str(tmp_path / "mine.key.pub")) == json.loads(out)["public"]
    assert (tmp_path / "mine.key").stat().st_mode & 0o077 == 0
    before = (tmp_path / "mine.key").read_bytes()
    assert command(tmp_path, "keys", "new", str(tmp_path / "mine.key"))[0] == 2
    assert (tmp_path / "mine.key").read_bytes() == before


def test_signed_again_it_is_the_same_to_the_byte(ours: Ours) -> None:
    before = {path: path.read_bytes() for path in ours.exports.rglob("*") if path.is_file()}
    assert len([path for path in before if path.suffix == signing.SUFFIX]) == 3
    shutil.rmtree(ours.exports / "1.0.1")
    (ours.exports / "removals.jsonl.minisig").write_bytes(b"")
    ours.project.verify(repair=True)
    assert {path: path.read_bytes() for path in before} == before
