"""Words: what is read out of titles, captions and categories, in which languages, and what is not."""

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest

from curate.engine.serial import Serial
from curate.features.scores import compute, read
from curate.label.functions import meanings
from curate.media.decoded import StoredImage
from curate.policy.text import plain, readings, spoken
from curate.progress import Progress
from curate.records import Axis, Sample
from labelers import _words
from labelers._words import TOPICS, lexicon, tables, topics
from labelers.words import FILED, NAMED, TOLD, Words, functions
from tests.support.samples import declare, pictures, workspace

CONTENT = Axis()
BINARY = Axis("nsfw", ("nsfw", "sfw"), ("sfw",))
MEDIUM = Axis("medium", ("photograph", "drawing"), ("photograph", "drawing"))
COLUMNS = [f"words_{topic}" for topic in TOPICS]
SAMPLE = Sample("0" * 64, "", "", 0, "image/png", 0, 0)
UNSAFE = ("nudity", "sexual", "suggestive")


def about(text: str) -> set[str]:
    found = _words.topics(text)
    return {topic for place, topic in enumerate(TOPICS) if found >> place & 1}


def scores(declared: Mapping[str, tuple[str, ...]] | None = None, **texts: Any) -> dict[str, float]:
    labeler = Words()
    labeler.load()
    one = StoredImage(SAMPLE, declared or {}, bytes, **texts)
    return {topic: float(values[0]) for topic, values in labeler.label([one]).items()}


# -- which words -----------------------------------------------------------------------------------------------------

HARMLESS = [
    "Nude mouse", "Naked mole-rat", "naked_mole_rats.jpg", "Sextant by Troughton", "Essex", "Middlesex County Council",
    "Cocktail", "Adult education centre", "Bare-faced go-away-bird", "Dick Cheney", "Philip Seymour Hoffman",
    "Cockburn", "Hooker Valley Track", "Scunthorpe United", "Penistone railway", "Great tit", "Blue-footed booby",
    "Titmouse",
    "Breast of chicken", "Bikini Atoll", "Bikini Bottom", "wire stripper", "Cleavage of mica", "Super Bowl XXX",
    "Games of the XXX Olympiad", "Las Vegas", "Emmanuel Nunes", "Nuu-chah-nulth", "Sexsmith, Alberta", "Sexto Empírico",
    "Sex ratio", "Sex Pistols", "Same-sex marriage", "Pussy willow", "Gaza Strip", "Comic strip", "Escort carrier",
    "Hardcore punk", "Naked bikes by Honda", "Naked eye observation", "Nude lipstick", "Nudelman", "Nudibranch",
    "Pornographic film actresses", "Sex education", "Cerro Pelado", "nude mouse nude mouse",
    "Strippers, wire and cable",
    "カップヌードルミュージアム", "異性交遊", "性教育", "路口交通", "出口交易", "异性交友", "裸子植物", "裸露的岩石",
    "전라남도", "누드김밥", "обнажение горных пород", "Ню Йорк", "a occhio nudo", "pies desnudos", "mit nacktem Auge",
    "Nacktmull", "Nacktschnecke", "olho nu", "Cueca chilena", "nudo marinero", "ノーベル", "Dildo, Newfoundland",
]  # fmt: skip


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_like_it_is_not_taken_for_it(text: str) -> None:
    assert not about(text) & set(UNSAFE)


@pytest.mark.parametrize(
    ("text", "topics"),
    [
        ("Nude women in Germany", {"nudity"}),
        ("Nude women with a nude mouse", {"nudity"}),
        ("NudeWomen_2012.jpg", {"nudity"}),
        ("nude%20women", {"nudity"}),
        ("ＮＵＤＥ women", {"nudity"}),
        ("Femme nue couchée", {"nudity"}),
        ("mujer desnuda", {"nudity"}),
        ("Nu féminin, huile sur toile", {"nudity", "art"}),
        ("Nacktheit", {"nudity"}),
        ("Обнажённая женщина", {"nudity"}),
        ("обнаженными", {"nudity"}),
        ("ヌード写真", {"nudity", "photograph"}),
        ("裸体雕塑", {"nudity", "sculpture"}),
        ("Reprodução: mulheres nuas", {"nudity"}),
        ("Sexual intercourse, line drawings", {"sexual", "drawn"}),
        ("Seksuele daad", {"sexual"}),
        ("السباحة في المسبح", {"swimming"}),
        ("สระว่ายน้ำ", {"swimming"}),
        ("Vélodrome: la natation", {"swimming"}),
        ("Greco-Roman wrestling", {"wrestling"}),
        ("Body painting of nude women", {"nudity"}),
        ("drawing room", set()),
        ("Statue of a nude woman", {"sculpture", "nudity"}),
        ("Breast cancer surgery", {"medical"}),
        ("Allaitement maternel", {"breastfeeding"}),
        ("", set()),
    ],
)
def test_what_a_text_is_about(text: str, topics: set[str]) -> None:
    assert about(text) == topics


def test_every_language_has_every_topic_and_finds_its_own_words() -> None:
    languages = {name: table for name, table in _words.tables().items() if name != _words.ITEMS}
    assert len(languages) >= 16
    for name, table in languages.items():
        assert set(TOPICS) <= table.keys() <= {*TOPICS, "not", "inside", "prefixes"}, name
        for topic in TOPICS:
            for word in table[topic]:
                assert topic in about(f"x. {word.rstrip('*')}"), (name, topic, word)
        for phrase in table.get("not", ()):
            assert not about(f"1 {phrase} 2") & set(UNSAFE), (name, phrase)
    assert set(TOPICS) >= _words.tables()[_words.ITEMS].keys()


def test_each_word_stands_once_in_its_list() -> None:
    for name, table in _words.tables().items():
        for topic, words in table.items():
            if isinstance(words, list):
                assert len(words) == len(set(words)), (name, topic)


def test_pieces_read_as_the_policy_reads_the_whole() -> None:
    for text in (*HARMLESS, "l'été «A»", "100% x%2Fy", "ﬁne_art|b", "Ångström 3D-Drucker", "half \ud83d,x\u2028y"):
        whole = plain(readings(text)).split()
        assert set(spoken(text, accents=False).split()) <= {*whole, "|"}, text


# -- how plainly -----------------------------------------------------------------------------------------------------


def test_where_a_word_stands_says_how_much_it_counts() -> None:
    assert scores(categories=("Nude women",), title="Untitled")["nudity"] == FILED
    assert scores(depicts=("Q10791",))["nudity"] == FILED
    assert scores(title="Nude woman.jpg")["nudity"] == NAMED
    assert scores(file_name="nude-woman.jpg")["nudity"] == NAMED
    assert scores(description="A nude woman")["nudity"] == TOLD
    assert scores(title="A garden", description="A nude woman", categories=("Nude women",))["nudity"] == FILED
    assert scores(title="A garden")["nudity"] == 0
    assert all(np.isnan(value) for value in scores(file_name="0001.jpg").values()), "nothing is said"
    assert scores(title="Nude\nmouse")["nudity"] == NAMED, "mentions are apart"


def test_folders_count_but_for_the_declared_class() -> None:
    said = {"content": ("drawings",)}
    assert np.isnan(scores(said, ref="drawings/0001.png", file_name="0001.png")["drawn"])
    assert scores({}, ref="drawings/0001.png", file_name="0001.png")["drawn"] == TOLD
    assert scores(said, ref="drawings/swimming/0001.png", file_name="0001.png")["swimming"] == TOLD
    assert np.isnan(scores(said, host="example.org", ref="swimming/urls.txt:1", file_name="1.png")["swimming"])


def test_words_are_read_anew_and_never_kept(tmp_path: Path) -> None:
    """A mention that comes later changes the columns of the next run; no table of them is written."""
    ws = workspace(tmp_path, pictures(2))
    ids = [row[0] for row in ws.catalog.all("SELECT id FROM samples ORDER BY id")]
    declare(ws, ids[0], CONTENT, "neutral")
    compute(ws, Serial(), [Words()], Progress(quiet=True))
    assert np.isnan(read(ws, Words(), ids)["nudity"]).all()
    with ws.catalog.tx() as db:
        db.execute("UPDATE mentions SET facts = ?", (json.dumps({"categories": ["Nude women"]}),))
    compute(ws, Serial(), [Words()], Progress(quiet=True))
    assert read(ws, Words(), ids)["nudity"].tolist()[0] == FILED
    assert not list((tmp_path / "work" / "tables").glob("words@*"))


def test_no_text_with_a_word_is_passed_over() -> None:
    """What is looked up by piece first finds what reading every text finds: joined, with digits, as a percent code."""
    every = [one.rstrip("*") for table in tables().values() for topic in TOPICS for one in table.get(topic, ())]
    for word in every:
        joined = word.title().replace(" ", "")
        for text in (word, word.upper(), joined, f"IMG_12{joined}34.jpg", f"a {quote(word)} b", f"{word}\nпляж 1"):
            assert topics(text) == lexicon().topics(spoken(text, accents=False)), text
    assert topics("Nude7.jpg")


# -- votes -----------------------------------------------------------------------------------------------------------


def voted(topics: Mapping[str, float], axis: Axis = CONTENT) -> dict[str, set[str]]:
    row = SimpleNamespace(**dict.fromkeys(COLUMNS, 0.0) | {f"words_{k}": v for k, v in topics.items()})
    found = {one.name.removeprefix("words_"): (one, one(row)) for one in functions(axis, COLUMNS)}
    return {name: set(meanings(one, axis)[answer]) for name, (one, answer) in found.items() if answer >= 0}


SAFE, GENTLE, ALL_UNSAFE = {"drawings", "neutral"}, {"drawings", "neutral", "sexy"}, {"hentai", "porn", "sexy"}


@pytest.mark.parametrize(
    ("topics", "votes"),
    [
        ({"sexual": 1}, {"explicit": {"porn", "hentai"}}),
        ({"sexual": 1, "drawn": 1}, {"explicit": {"hentai"}, "medium": {"drawings", "hentai"}}),
        ({"sexual": 1, "photograph": 1}, {"explicit": {"porn"}, "medium": {"neutral", "porn", "sexy"}}),
        ({"sexual": 1, "art": 1}, {"explicit": ALL_UNSAFE}),
        ({"sexual": 1, "medical": 0.5}, {}),
        ({"sexual": 0.5}, {}),
        ({"nudity": 0.75}, {"nudity": ALL_UNSAFE}),
        ({"nudity": 0.5}, {}),
        ({"nudity": 1, "art": 1}, {"art": GENTLE}),
        ({"nudity": 1, "sculpture": 0.5}, {}),
        ({"nudity": 1, "medical": 1}, {}),
        ({"suggestive": 1}, {"suggestive": {"sexy"}}),
        ({"suggestive": 1, "art": 1}, {}),
        ({"underwear_swim": 1}, {"underwear_swim": GENTLE}),
        ({"swimming": 1}, {"swimming": SAFE}),
        ({"swimming": 1, "nudity": 0.5}, {}),
        ({"wrestling": 0.75}, {"wrestling": SAFE}),
        ({"medical": 1}, {"medical": SAFE}),
        ({"breastfeeding": 1, "nudity": 0.5}, {"breastfeeding": SAFE}),
        ({"art": 1}, {"art": SAFE}),
        ({"sculpture": 1, "everyday": 1}, {"sculpture": SAFE, "everyday": SAFE}),
        ({"everyday": 0.5}, {}),
        (dict.fromkeys(TOPICS, np.nan), {}),
    ],
)
def test_what_is_voted(topics: dict[str, float], votes: dict[str, set[str]]) -> None:
    assert voted(topics) == votes


def test_axes_of_two_classes_and_of_other_things() -> None:
    assert voted({"sexual": 1}, BINARY) == {"explicit": {"nsfw"}}
    assert voted({"swimming": 1}, BINARY) == {"swimming": {"sfw"}}
    assert voted({"suggestive": 1}, BINARY) == {}
    assert functions(MEDIUM, COLUMNS) == []
    assert functions(Axis("x", ("porn", "neutral"), ("porn", "neutral")), COLUMNS) == [], "all is called safe"
    assert functions(CONTENT, []) == []


@pytest.mark.parametrize("axis", [CONTENT, BINARY], ids=lambda axis: str(axis.name))
def test_votes_over_columns_are_those_of_snorkel_s_applier(axis: Axis) -> None:
    from snorkel.labeling import LFApplier

    rng = np.random.default_rng(0)
    columns = {name: rng.choice([0, 0, 0, 0.5, 0.75, 1, np.nan], 400).astype(np.float32) for name in COLUMNS}
    rows = [
        SimpleNamespace(**dict(zip(columns, values, strict=True))) for values in zip(*columns.values(), strict=True)
    ]
    made = functions(axis, COLUMNS)
    theirs = LFApplier(made).apply(rows, progress_bar=False)
    assert np.array_equal(np.stack([one.over(columns) for one in made], axis=1), theirs)
    assert (theirs >= 0).any(axis=0).all(), "each votes"


def test_whatever_hints_at_more_is_voted_safe_by_nothing() -> None:
    """Of every pair of topics: where nudity, acts or what suggests them is named, no vote holds safe classes alone."""
    for first, second in itertools.product(UNSAFE, TOPICS):
        for level in (0.5, 0.75, 1.0):
            for name, classes in voted({second: 1.0, first: level}).items():
                if name == "breastfeeding" and (first, level) == ("nudity", 0.5):
                    continue  # "bare breast", in a description
                assert name == "medium" or not classes <= SAFE, (first, second, level, name)


def test_the_words_of_votes_are_columns() -> None:
    used: set[str] = set()

    class Columns(dict[str, Any]):
        def __missing__(self, key: str) -> Any:
            used.add(key)
            return np.zeros(3)

    for one in functions(CONTENT, COLUMNS):
        one.over(Columns())
    assert used == set(COLUMNS)


@pytest.mark.parametrize(
    ("hidden", "plain"),
    [
        ("nud\u0435", "nude"),
        ("BIK\u0406NI", "bikini"),
        ("t\u03bfpless", "topless"),
        ("o\u0431\u043da\u0436\u0435\u043d\u043da\u044f", "обнаженная"),
    ],
)
def test_a_word_in_two_alphabets_is_read_in_either(hidden: str, plain: str) -> None:
    assert topics(hidden) == topics(plain) != 0
    assert topics(f"a {hidden}_picture") == topics(plain)


@pytest.mark.parametrize("text", ["5 \u00b5m", "k\u03a9", "\u041f\u043b\u044f\u0436 4K", "\u0394x"])
def test_honest_mixtures_say_nothing(text: str) -> None:
    assert topics(text) == 0
