"""What is never fetched: refused by name, by layout, by category; harmless names are let through."""

from pathlib import Path

import pytest

from curate.errors import GateError, UsageError
from curate.plugins import name_of, options_of
from curate.policy import PolicyVerdict, judge
from curate.policy.refusals import (
    check_approvals,
    check_sources,
    denied_category,
    refused,
    refused_path,
    version,
)
from curate.records import Candidate, Locator
from sources.local import Local
from sources.urllist import Urllist

REFUSED = {
    "nudenet_dataset": [
        "NudeNet", "nudenet", "NUDENET", "nude-net", "Nude_Net dataset", "NudeNet_classifier_dataset_v1", "nudenetv2",
        "https://archive.example/details/NudeNet_classifier_dataset_v1", "someone/nudenet-dataset", "Nude%4Eet",
        "kaggle.example/datasets/someone/nudenetdata", "/data/NudeNet/train", "myNudeNetCopy",
        "NudeNet detector dataset", "ＮｕｄｅＮｅｔ", "nude\u200bnet",
    ],
    "laion_5b": [
        "LAION-5B", "laion5b", "laion_5b", "laion/laion2B-en", "laion2B-multi", "laion1B-nolang", "laion-2b",
        "laion/laion2B-en-aesthetic", "laion-aesthetics_v2_6.5plus", "improved_aesthetics_6.5plus",
        "laion/laion-high-resolution", "laion-art", "laion-coco", "LAION 5 billion", "hf://datasets/laion/laion5B-index",
        "~/laion5b/part-00001.parquet", "re-laion-5b-against-laion-5b", "pre-LAION-5B",
    ],
    "relaion_unsafe": ["laion/relaion2B-en-research", "Re-LAION-5B research", "relaion-5b/research/part-0.parquet"],
    "ebazarov_urls": [
        "EBazarov/nsfw_data_source_urls", "https://git.example/EBazarov/nsfw_data_source_urls.git",
        "nsfw_data_source_urls-master", "ebazarov",
    ],
}  # fmt: skip

HARMLESS = [
    "~/laion-notes", "laion", "laionart", "million-5b", "laion-400m", "battalion-5b", "laion-notes/5-books",
    "Re-LAION-5B research-safe", "laion/relaion2B-en-research-safe", "relaion5b/research_safe/part-0.parquet",
    "relaion", "nude-network", "nude nettles", "denude", "NudeNet detector", "nudenet-detections",
    "alex000kim/nsfw_data_scraper",
    "raw_data/neutral/urls_neutral.txt", "nsfw_data_source", "Nude photography", "Category:Nude paintings", "art", "",
    "improved lighting", "https://commons.wikimedia.org/w/api.php", "/home/me/datasets/neutral",
]  # fmt: skip


@pytest.mark.parametrize(("refusal", "text"), [(k, text) for k, texts in REFUSED.items() for text in texts])
def test_refused_by_name(refusal: str, text: str) -> None:
    found = refused(text)
    assert found is not None
    assert found.id == refusal
    assert found.reason
    assert found.reference


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_names_are_let_through(text: str) -> None:
    assert refused(text) is None


DENIED = {
    "age_teen*": ["age_teen", "Age_Teen_x", "age-teen", "ageTeen", "raw/age_teen/x"],
    "age_college*": ["age_college", "age college girls"],
    "*age-play*": ["fetish_role-enactment_age-play", "ageplay", "Age play", "stage-play"],
    "illegal-taboo*": ["illegal-taboo", "illegal-taboo_x", "Illegal taboo"],
    "*abuse*": ["fetish_role-enactment_rape-abuse", "Category:Abuse", "abused"],
    "*upskirt*": ["appearance_clothing_upskirt-downblouse", "Category:Upskirt", "up-skirt", "upSkirt"],
}
ALLOWED = [
    "neutral",
    "porn",
    "age_mature",
    "amateur",
    "Category:Stage plays",
    "village_teenagers",
    "Sculptures",
    "collage",
]


@pytest.mark.parametrize(("pattern", "name"), [(k, name) for k, names in DENIED.items() for name in names])
def test_denied_categories(pattern: str, name: str) -> None:
    found = denied_category(name)
    assert found is not None
    assert found.id == pattern


@pytest.mark.parametrize("name", ALLOWED)
def test_other_categories_are_let_through(name: str) -> None:
    assert denied_category(name) is None


def lists(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("http://a.example/1.jpg\n")
    return root


@pytest.mark.parametrize(
    "names",
    [
        ["raw_data/one/urls_one.txt", "raw_data/one/reddit_sub_cats/urls.txt"],
        ["raw_data/general-categories_humorous/urls_general-categories_humorous.txt"],
        ["body-parts_head_hair/urls_body-parts_head_hair.txt"],
    ],
)
def test_the_layout_is_known_under_another_name(names: list[str], tmp_path: Path) -> None:
    root = lists(tmp_path / "mine", *names)
    for path in (root, root / names[-1], (root / names[-1]).parent):
        found = refused_path(path)
        assert found is not None, path
        assert found.id == "ebazarov_urls"


def test_the_readme_and_the_link_say_it(tmp_path: Path) -> None:
    root = lists(tmp_path / "mine", "raw_data/one/urls_one.txt")
    assert refused_path(root) is None
    (root / "README.md").write_text("# NSFW data source URLs\n\n## Description\n")
    assert refused_path(root / "raw_data" / "one" / "urls_one.txt") is not None
    (tmp_path / "nudenet").mkdir()
    (tmp_path / "pictures").symlink_to(tmp_path / "nudenet")
    found = refused_path(tmp_path / "pictures")
    assert found is not None
    assert found.id == "nudenet_dataset"


def test_a_readme_that_mentions_it_is_no_copy(tmp_path: Path) -> None:
    root = lists(tmp_path / "mine", "raw_data/neutral/urls_neutral.txt", "raw_data/porn/urls_porn.txt")
    (root / "README.md").write_text("# My lists\nUnlike nsfw_data_source_urls, these are of sculptures.\n")
    assert refused_path(root) is None
    assert refused_path(root / "raw_data") is None
    assert refused_path(root / "absent") is None


def described(source: Local | Urllist, classes: tuple[str | None, ...] = ("neutral",)) -> dict[str, object]:
    return {"use": name_of(source), **options_of(source), "classes": classes}


def test_sources_are_refused_before_any_request(tmp_path: Path) -> None:
    folder = tmp_path / "NudeNet" / "images"
    folder.mkdir(parents=True)
    with pytest.raises(GateError, match=r"sources\.local\.path: refused \(nudenet_dataset\).*csam-nude-net") as caught:
        check_sources([described(Local(tmp_path)), described(Local(folder))])
    assert caught.value.exit_code == 4
    with pytest.raises(GateError, match=r"sources\.urllist\.classes: refused \(age_teen\*\)"):
        check_sources([described(Urllist(tmp_path), ("neutral", "age_teen"))])
    with pytest.raises(GateError, match=r"urllist\.path: refused \(\*abuse\*\)"):
        check_sources([described(Urllist(tmp_path / "urls_abuse.txt"))])
    commons = {"use": "commons", "categories": [{"title": "Category:Upskirt", "label": "porn", "depth": 1}]}
    with pytest.raises(GateError, match=r"commons\.title"):
        check_sources([commons])
    with pytest.raises(GateError, match="laion_5b"):
        check_sources([{"use": "parquet", "dataset": {"name": ["laion/laion2B-en"]}}])


def test_what_a_source_avoids_may_be_named(tmp_path: Path) -> None:
    check_sources(
        [described(Urllist(tmp_path, reason="no overlap with NudeNet or LAION-5B", approved_by="abuse team"))]
    )
    check_sources([{"use": "commons", "categories": [{"title": "Category:Sumo", "exclude": "abuse|nudenet"}]}])


def test_a_class_that_is_not_safe_needs_a_reason_and_a_name(tmp_path: Path) -> None:
    safe = ("neutral", "drawings")
    bare = Urllist(tmp_path)
    check_approvals([described(bare), described(Local(tmp_path), ("porn",))], safe)
    for classes in (("neutral", "porn"), (None,)):
        with pytest.raises(UsageError, match=r"sources\.urllist\.reason: this key and approved_by are needed"):
            check_approvals([described(bare, classes)], safe)
        with pytest.raises(UsageError, match=r"sources\.urllist\.approved_by: this key is needed"):
            check_approvals([described(Urllist(tmp_path, reason="study 7", approved_by=" "), classes)], safe)
        check_approvals([described(Urllist(tmp_path, reason="study 7", approved_by="A. Person"), classes)], safe)


def test_what_a_walk_comes_upon_is_judged_too() -> None:
    safe = frozenset({"neutral"})
    url = Locator("url", "https://a.example/1.jpg")
    path = ("Category:Clothing", "Category:Upskirt photography")
    assert judge(Candidate(url, "x", "neutral", facts={"category_path": path}), safe) == PolicyVerdict(
        denied="denied category *upskirt*"
    )
    tainted = Locator("url", "https://a.example/laion2B-en/1.jpg")
    assert judge(Candidate(tainted, "x", "neutral"), safe) == PolicyVerdict(blocked="laion_5b")
    assert judge(Candidate(url, "urls_neutral.txt:1", "neutral"), safe) == PolicyVerdict()


def test_the_list_has_a_version() -> None:
    assert version()
