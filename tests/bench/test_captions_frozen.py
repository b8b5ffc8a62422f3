"""The frozen caption sets: rebuilt byte for byte, and every text of them checked by rules the grammar does not know."""

import csv
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from spf_bench import testset
from spf_bench.captions import build
from spf_bench.captions.__main__ import main
from spf_bench.captions.freeze import FACTS
from spf_bench.captions.tokens import clip_tokens
from spf_bench.errors import UserError
from spf_bench.testset import TestSet
from spf_bench.triple import Category
from spf_bench.world.distributions import CATEGORY_COUNTS
from spf_bench.world.testset import apportion

ROOT = Path(__file__).parents[2] / "testsets"
SIZES = {build.FIVE_K: 5000, build.TWO_HUNDRED: 200, build.GENERAL: 600}


@cache
def frozen(name: str) -> TestSet:
    return testset.load(str(ROOT / name))


def facts(name: str) -> dict[str, dict[str, str]]:
    with (ROOT / name / FACTS).open(encoding="utf-8") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


@pytest.mark.parametrize("name", SIZES)
def test_a_set_is_whole_small_and_unique(name: str) -> None:
    found = frozen(name)
    assert found.name == name and len(found.triples) == SIZES[name]
    for field in ("id", "base", "prompt", "seed"):
        assert len({getattr(triple, field) for triple in found.triples}) == SIZES[name], field
    assert all((ROOT / name / file).stat().st_size < 2_000_000 for file in (testset.TRIPLES, FACTS, testset.CARD))
    assert list(facts(name)) == [triple.id for triple in found.triples]


@pytest.mark.parametrize("name", [build.TWO_HUNDRED, build.GENERAL])
def test_a_set_is_rebuilt_byte_for_byte(name: str, tmp_path: Path) -> None:
    main([name, "--to", str(tmp_path)])
    for file in (testset.TRIPLES, testset.CARD, FACTS, testset.SUMS):
        assert (tmp_path / name / file).read_bytes() == (ROOT / name / file).read_bytes(), file


def test_the_5k_are_rebuilt_and_hold_the_200() -> None:
    cases = build.build(build.FIVE_K)
    assert [case.triple for case in cases] == list(frozen(build.FIVE_K).triples)
    assert set(frozen(build.TWO_HUNDRED).triples) <= {case.triple for case in cases}
    assert build.build_5k(seed=1, n=20) != build.build_5k(seed=0, n=20)


def test_a_changed_set_and_an_unknown_one_are_refused(tmp_path: Path) -> None:
    main([build.GENERAL, "--to", str(tmp_path)])
    with (tmp_path / build.GENERAL / FACTS).open("a") as file:
        file.write("x\n")
    with pytest.raises(UserError, match=FACTS):
        testset.load(str(tmp_path / build.GENERAL))
    with pytest.raises(UserError, match="spf-5k-v1"):
        build.build("spf-5k")


@pytest.mark.parametrize("name", SIZES)
def test_every_text_reads_and_fits(name: str) -> None:
    for triple in frozen(name).triples:
        assert clip_tokens(triple.prompt) <= 77
        assert triple.base == ", ".join(triple.phrases) and len(triple.phrases) >= 2
        assert triple.base[0].isupper() and triple.base.isprintable() and not re.search(r"[{}|;.]|  ", triple.prompt)
        assert not re.search(r"\ba (?!uni|one|uk|eu)[aeiou]|\ban [^aeiou]", triple.prompt, re.IGNORECASE), triple.prompt
        assert all(phrase == phrase.strip() and "," not in phrase for phrase in triple.phrases)
        long = [word for word in re.findall(r"[a-z]+", triple.base.lower()) if len(word) > 4]
        assert len(set(long)) == len(long), f"{triple.base} repeats a word"


@pytest.mark.parametrize("name", [build.FIVE_K, build.TWO_HUNDRED])
def test_nouns_pronouns_and_facts_agree(name: str) -> None:
    rows = facts(name)
    for triple in frozen(name).triples:
        woman = rows[triple.id]["gender"] == "woman"
        assert bool(re.search(r"\b(woman|girl)\b", triple.base)) is woman
        assert bool(re.search(r"\b(man|boy)\b", triple.base)) is not woman
        assert not re.search(r"\b(his|him)\b" if woman else r"\bher\b", triple.base), triple.base
        assert ("skin" in triple.base) is bool(rows[triple.id]["skin"])


@pytest.mark.parametrize("name", [build.FIVE_K, build.TWO_HUNDRED])
def test_categories_people_and_targets_are_in_proportion(name: str) -> None:
    triples, rows, n = frozen(name).triples, list(facts(name).values()), SIZES[name]
    assert testset.counts(triples) == apportion(n, CATEGORY_COUNTS)
    assert set(Counter((row["gender"], row["age"]) for row in rows).values()) == {n // 10}
    skins = Counter(row["skin"] for row in rows)
    assert 0.45 < 1 - skins.pop("") / n < 0.55
    assert len(skins) == 6 and max(skins.values()) - min(skins.values()) <= 1
    targets = Counter(triple.target for triple in triples)
    assert len(targets) == 160 and max(targets.values()) <= 1.3 * min(targets.values()) + 1
    for m in (n // 10, n // 2):
        assert set(Counter((row["gender"], row["age"]) for row in rows[:m]).values()) == {m // 10}
        shares = Counter(triple.category for triple in triples[:m])
        assert all(abs(shares[category] - count) <= 2 for category, count in apportion(m, CATEGORY_COUNTS).items())


def test_the_general_set_is_a_third_each() -> None:
    rows = facts(build.GENERAL).values()
    assert Counter(row["domain"] for row in rows) == {"animal": 200, "object": 200, "scene": 200}
    assert set(testset.counts(frozen(build.GENERAL).triples)) == set(Category)
    assert not re.search(r"\b(woman|man|girl|boy|his|her)\b", " ".join(t.prompt for t in frozen(build.GENERAL).triples))


HAIR = r"\bhair|ponytail|braid|bob\b|cornrows|bald|pigtails|buzz cut|bowl cut|receding"
RULES = {
    "two hair styles": (
        r"\bhair|bob|afro|dreadlocks|braids|mohawk|bangs|shaved",
        rf"with (.* and )?.*({HAIR})|\bhat\b",
    ),
    "two hats": (
        r"hat$|beanie|cap$|fedora|beret|crown|headband|headphones|cat ears",
        r"\bhat\b|helmet|swimming|floating|in the pool",
    ),
    "a hat over a hairdo": (r"hat$|beanie|cap$|fedora|beret|crown|headband", rf"with (.* and )?.*({HAIR})"),
    "glasses over glasses": ("glasses|eyepatch", "goggles|binoculars|microscope|sleeping|eyes closed"),
    "sun at night": (
        "dark sunglasses|aviator",
        r"night|dusk|blue hour|lamplight|candle|flames|on stage|jazz bar|office",
    ),
    "two beards": ("beard|mustache|goatee|stubble", r"beard|mustache|stubble|woman|girl|\bboy\b"),
    "two expressions": (
        "smile|laughing|tears|expression|frown|yawning|winking",
        "smil|laugh|grin|expression|sleeping|singing|drinking|eating",
    ),
    "a lens in a painting": (
        "painting|drawing|sketch|print$|style$|poster|pixel art",
        r"photo of|photograph of|snapshot|film grain|lens|shot\b|depth of field|blurred|soft focus",
    ),
    "colors without color": (
        r"black and white|sepia|pencil|charcoal|\bink\b|line drawing",
        r"\b(red|blue|green|yellow|pink|orange|purple|golden|neon)\b",
    ),
    "grown-up things on children": (r"lipstick|eyeliner|tattoo|gown|black dress|nose ring|muscular|shaved", "girl|boy"),
    "busy hands": ("^holding", "holding|carrying|washing|playing|riding|driving|drinking|eating|reading|making"),
    "summer clothes in the cold": ("summer dress|Hawaiian|linen shirt", r"\bsnow|\bski\b|Alps"),
    "winter clothes in the heat": ("sweater|fur coat|puffer|cardigan", "beach|(the|turquoise|outdoor) pool"),
    "a bow tie on a turtleneck": ("bow tie", "turtleneck|scarf|tracksuit"),
    "sleeves over a tattoo": ("tattoo|muscular", "wearing|bundled|in a .*dress"),
    "two skins": ("deep tan", "skin"),
    "a mask on a busy mouth": ("mask$", "drinking|eating|singing|smil|grin|trumpet|saxophone|harmonica"),
}


@pytest.mark.parametrize("rule", RULES)
def test_declared_contradictions_never_meet(rule: str) -> None:
    concerned, banned = RULES[rule]
    found = [triple for triple in frozen(build.FIVE_K).triples if re.search(concerned, triple.target)]
    assert len(found) >= 25
    assert not [triple.prompt for triple in found if re.search(banned, triple.base)]


def test_a_clothing_target_meets_no_clothes() -> None:
    for triple in frozen(build.FIVE_K).triples:
        if triple.category == Category.clothing:
            clothes = re.compile(r"wearing|bundled|wrapped|in .*(dress|gown|suit|pajamas|leggings)\b")
            assert not [phrase for phrase in triple.phrases if clothes.match(phrase)]
