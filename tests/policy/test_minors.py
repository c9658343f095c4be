"""Words that suggest a minor: found in every language, wherever they stand; false friends are let through."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.policy import PolicyVerdict, judge
from curate.policy.minors import languages, suggests_minor, version
from curate.records import Candidate, Locator, Upstream

SUGGESTIVE = {
    "ar": ["طفل", "الأطفال", "أَطْفَال", "فتاة", "مراهقة", "قاصر", "وطالبة", "عمرها ١٥ سنة"],
    "cs": ["dítě", "děti", "chlapec", "dívka", "nezletilá", "dětský domov"],
    "da": ["børn", "dreng", "piger", "jente", "mindreårig"],
    "de": ["Kind", "Kinder", "Mädchen", "Maedchen", "Junge", "Jugendliche", "Säugling", "Schülerin", "16-jährige",
           "Schulmädchen", "minderjährig", "Frau mit Kind", "Kindergarten"],
    "el": ["παιδί", "ΠΑΙΔΙΆ", "κορίτσι", "ανήλικη", "μαθήτρια"],
    "en": ["child", "Children", "boy", "Boys", "girl", "girlfriend", "infant", "baby", "minor", "minors", "teen",
           "teenager", "adolescent", "youth", "student", "school", "schoolgirl", "toddler", "newborn", "breastfeeding",
           "childbirth", "pupil", "16 year old", "sixteen-year-old", "16yo", "aged 17", "under 18", "barely legal",
           "lolita", "underage", "stepdaughter", "cheerleader", "a minor", "Madonna and Child"],
    "es": ["niño", "niña", "NIÑAS", "ninos", "chica", "muchacho", "menor de edad", "adolescente", "bebé", "colegiala",
           "escuela", "estudiante", "de 15 años", "el nino"],
    "fa": ["کودک", "کودکان", "دختر", "نوجوان", "دانش‌آموز", "دانش آموز"],
    "fi": ["lapsi", "tyttö", "poika", "alaikäinen"],
    "fr": ["enfant", "garçon", "garcon", "fille", "fillette", "bébé", "mineure", "adolescente", "lycéenne", "écolière",
           "étudiante", "école", "d'enfants", "fille de 15 ans"],
    "he": ["ילד", "הילדים", "נערה", "קטינה", "תלמידות"],
    "hi": ["बच्चा", "लड़की", "नाबालिग", "किशोरी", "छात्रा"],
    "hu": ["gyerek", "lány", "kiskorú", "iskola"],
    "id": ["anak-anak", "remaja", "gadis", "di bawah umur"],
    "it": ["bambino", "bambina", "ragazza", "ragazzi", "minorenne", "adolescenti", "neonato", "studentessa", "scuola"],
    "ja": ["子供", "女の子", "少女", "女子高生", "未成年", "赤ちゃん", "中学生", "ロリータ", "14歳", "十六歳", "10代",
           "ティーン",
           "ﾃｨｰﾝ", "美少女"],
    "ko": ["어린이", "소녀", "아이들", "미성년자", "여고생", "학생", "15살", "아기"],
    "nl": ["jongen", "meisje", "meisjes", "peuter", "tiener", "kinderen", "minderjarige", "jeugdkamp", "15 jaar oud"],
    "pl": ["dziecko", "dzieci", "chłopiec", "chlopiec", "dziewczynka", "dziewczyny", "nastolatka", "nieletnia",
           "szkoła",
           "uczennica"],
    "pt": ["criança", "menino", "menina", "garota", "rapariga", "adolescente", "bebê", "novinha", "aluna", "escola"],
    "ro": ["copii", "fetiță", "băiat", "fată"],
    "ru": ["ребёнок", "ребенок", "дети", "мальчик", "ДЕВОЧКА", "девушка", "подросток", "несовершеннолетняя",
           "школьница", "студентка", "15 лет"],
    "sv": ["flicka", "pojkar", "tonåring", "barnen"],
    "th": ["เด็ก", "เด็กหญิง", "วัยรุ่น", "นักเรียน"],
    "tr": ["çocuk", "kız", "KIZ", "küçük kızlar", "bebek", "ergen", "öğrenci", "okulu", "reşit olmayan", "15 yaşında"],
    "uk": ["дитина", "дівчина", "хлопчик", "підліток", "неповнолітня", "школяр"],
    "vi": ["trẻ em", "bé gái", "học sinh", "thiếu nữ"],
    "zh": ["儿童", "女孩", "少女", "未成年", "学生", "小学", "學校", "婴儿", "萝莉", "15岁", "十七歲"],
}  # fmt: skip

FALSE_FRIENDS = [
    # places
    "Boys Town, Nebraska", "Childers, Queensland", "Childersburg", "Child's Hill", "Boy River, Minnesota", "Asia Minor",
    "Kinder Scout", "Windmills at Kinderdijk", "Chico, California", "Bebek, Istanbul", "Minori, Amalfi coast",
    "Anak Krakatau", "United States Minor Outlying Islands", "Asie Mineure", "School Street",
    "Station Filles du Calvaire",
    # animals and plants
    "Baby elephant", "baby African elephant", "Kid goat", "juvenile bald eagle", "Elephant babies", "Kid gloves",
    "School of fish", "Picoides minor", "Vinca minor", "baby carrots", "Gypsophila, baby's breath",
    "orphaned orangutan",
    # medicine and science
    "minor surgery", "Minor injuries unit", "Child-Pugh score", "dilated pupil", "Student's t-test",
    "Student t distribution", "pectoralis minor", "orphan drug", "daughter cells", "pubescent leaves", "exit pupil",
    # music, sky, sport, names
    "Ursa Minor", "Osa Menor", "Prelude in C minor", "Sonata in A minor", "B-flat minor", "minor key", "minor planet",
    "Minor league baseball", "Concerto en ré mineur", "Beach Boys", "Game Boy", "baby grand piano", "Rothschild",
    "Lee Child", "Fairchild C-119", "Billy the Kid", "Morris Minor", "Shota Rustaveli", "La Niña event", "Bebe Rexha",
    # other words
    "boycott", "Boyle's law", "Boyd", "kidney", "Kidderminster", "infantry", "minority", "Minorca", "canteen",
    "sixteen",
    "Springsteen", "schooner", "Babylon", "a kind of bird", "The only one of its kind", "kind permission",
    "French School, 17th century", "École des Beaux-Arts", "Hudson River School", "escola de samba", "rose nursery",
    "Mineurs de charbon", "junge Frau", "Much Ado About Nothing", "minor damage", "iron age 2", "Nina Simone",
    "Nino Rota",
    "ولد في بغداد", "カロリー", "フロリダ州", "グロリア", "提高中国", "이야기", "아이폰", "아이스크림", "二十歳",
    "25歳", "30 лет",
    "18 years old", "aged 18", "117 years old", "18+", "45 ans",
]  # fmt: skip

HARMLESS = [
    "Venus de Milo", "Anatomical model of the heart", "Swimwear", "Sumo wrestling", "Life drawing session",
    "Mannequins",
    "Marble statue, back view", "Женщина на пляже", "砂浜の女性", "海滩上的女人", "해변의 여성", "امرأة على الشاطئ",
    "Frau am Strand", "femme à la plage", "mujer en la playa", "donna in spiaggia", "mulher na praia", "Sahilde kadın",
    "Kobieta na plaży", "vrouw op het strand", "DSC_0001.JPG", "https://upload.example/commons/a/ab/IMG_2017.jpg", "",
]  # fmt: skip


@pytest.mark.parametrize(("language", "text"), [(k, text) for k, texts in SUGGESTIVE.items() for text in texts])
def test_found_in_every_language(language: str, text: str) -> None:
    assert suggests_minor(text) is not None
    assert suggests_minor("Portrait", f"Portrait, {text}, 2011 (cropped).jpg") is not None


def test_every_language_of_the_data_is_in_the_table() -> None:
    assert set(languages()) == set(SUGGESTIVE)
    assert version()


@pytest.mark.parametrize("text", [*FALSE_FRIENDS, *HARMLESS])
def test_false_friends_are_let_through(text: str) -> None:
    assert suggests_minor(text) is None


@pytest.mark.parametrize("text", FALSE_FRIENDS)
def test_a_false_friend_hides_nothing_beside_it(text: str) -> None:
    assert suggests_minor(f"{text} with a girl") == "en:girl*"
    assert suggests_minor(text, "少年") is not None


WRITTEN = ["girl", "teenager", "schoolboy", "少女", "мальчик", "فتاة", "Mädchen", "niña", "kızlar", "소녀"]


@pytest.mark.parametrize("word", WRITTEN)
def test_addresses_and_folders_are_text(word: str) -> None:
    assert suggests_minor(f"https://i.example/albums/{word}_2/img.jpg") is not None
    assert suggests_minor(f"https://i.example/{quote(word)}.jpg?w=1") is not None
    assert suggests_minor(f"https://i.example/{quote(quote(word))}.jpg") is not None
    assert suggests_minor(f"set/12{word}34/a.jpg") is not None
    assert suggests_minor("".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in word)) is not None


@pytest.mark.parametrize(
    "word", ["t\u0435\u0435nage", "\u0441hild", "sch\u03bf\u03bflgirl", "\u0434\u0435\u0432o\u0447\u043aa"]
)
def test_letters_of_another_alphabet_hide_nothing(word: str) -> None:
    assert suggests_minor(f"a {word} outdoors")
    assert suggests_minor(f"folder/{word.capitalize()}_01.jpg")


@pytest.mark.parametrize(
    "text", ["myGirlAlbum", "TeenAlbum", "GIRLS", "gIrL", "HotBoyPics", "kidsHTMLPage", "gi\u00adrl"]
)
def test_case_and_invisible_characters_hide_nothing(text: str) -> None:
    assert suggests_minor(text) is not None


plain_words = st.text(alphabet="xyzq", min_size=1, max_size=8)


@given(
    before=st.lists(plain_words, max_size=5),
    word=st.sampled_from(WRITTEN),
    after=st.lists(plain_words, max_size=5),
    between=st.sampled_from([" ", "_", "-", ".", "/", ", ", " (", "'", "\n"]),
)
def test_found_wherever_it_stands(before: list[str], word: str, after: list[str], between: str) -> None:
    assert suggests_minor(between.join([*before, word, *after])) is not None
    assert suggests_minor(between.join([*before, *after])) is None


@given(st.text(max_size=200))
def test_any_text_has_an_answer(text: str) -> None:
    found = suggests_minor(text)
    assert found is None or found.partition(":")[0] in languages()


def candidate(label: str | None, title: str, **facts: str | tuple[str, ...]) -> Candidate:
    return Candidate(
        Locator("url", "https://upload.example/1.jpg"),
        ref="Category:Sculptures > x",
        label=label,
        upstream=Upstream("commons", title=title),
        facts=facts,
    )


SAFE = frozenset({"neutral", "drawings"})


@pytest.mark.parametrize("label", ["porn", "sexy", "hentai", None])
def test_barred_from_what_is_not_safe(label: str | None) -> None:
    assert judge(candidate(label, "File:Girl.jpg"), SAFE) == PolicyVerdict(denied="may depict minors: en:girl*")
    assert judge(candidate(label, "File:Statue.jpg"), SAFE) == PolicyVerdict()


def test_marked_where_it_is_safe() -> None:
    assert judge(candidate("neutral", "File:Girl.jpg"), SAFE) == PolicyVerdict(may_depict_minors=True)
    assert judge(candidate("neutral", "File:A.jpg", categories=("Youth sport",)), SAFE).may_depict_minors
    assert judge(candidate("neutral", "File:A.jpg", description="ein Kind am See"), SAFE).may_depict_minors
    assert judge(candidate("neutral", "File:A.jpg", description="a kind of lake"), SAFE) == PolicyVerdict()


def test_who_made_it_says_nothing_of_what_it_shows() -> None:
    assert (
        judge(candidate("neutral", "File:A.jpg", author="Lola Kindermann", uploader="CrazyKid"), SAFE)
        == PolicyVerdict()
    )


def test_a_path_counts_below_the_folder_that_was_named() -> None:
    one = Candidate(Locator("path", "/home/student/a/b.jpg"), ref="a/b.jpg", label="neutral")
    assert judge(one, SAFE) == PolicyVerdict()
    assert judge(Candidate(one.locator, ref="kids/b.jpg", label="neutral"), SAFE).may_depict_minors


def test_a_sha256_that_names_a_row_of_a_release_is_no_text() -> None:
    """`bebe` between digits would read as a word; a URL or a title beside it counts as ever."""
    digest = "b1cc1386" + "92d210bebe1f8" + "0" * 43
    one = Candidate(Locator("url", "https://example.org/a.jpg"), ref=digest, label="porn")
    assert judge(one, SAFE) == PolicyVerdict()
    assert judge(Candidate(one.locator, ref=f"{digest[:60]}/bebe", label="porn"), SAFE).denied is not None
    titled = Candidate(one.locator, ref=digest, label="porn", facts={"description": "bebe"})
    assert judge(titled, SAFE).denied is not None
