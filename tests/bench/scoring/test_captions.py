"""Captions from outside, in every form they come in."""

import json

import pytest

from spf_bench import testset
from spf_bench.errors import UserError
from spf_bench.scoring.captions import read_captions
from spf_bench.triple import Category, Uncategorised
from tests.bench.conftest import make_triples


def test_a_table_gives_triples_in_its_order(theirs):
    known = read_captions(theirs.captions)
    assert [t.id for t in known.triples] == [t.id for t in theirs.triples]
    assert {t.prompt for t in known.triples} == {t.prompt for t in theirs.triples}
    assert known.name == "theirs"  # "captions" says nothing


def test_the_stem_of_a_file_name_is_the_id(tmp_path):
    path = tmp_path / "metadata.jsonl"
    path.write_text(json.dumps({"file_name": "images/a.1.png", "base": "a man, smiling", "target": "with a beard"}))
    (triple,) = read_captions(path).triples
    assert (triple.id, triple.phrases) == ("a.1", ("a man", "smiling"))


def test_without_a_category_it_counts_in_the_whole_alone(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id,base,target\n1,a man,with a beard\n")
    (triple,) = read_captions(path).triples
    assert isinstance(triple, Uncategorised) and triple.part == ""
    (told,) = read_captions(path, "facial attributes").triples
    assert told.category is Category.facial_attributes and not isinstance(told, Uncategorised)


def test_a_frozen_set_is_known_whatever_file_its_triples_come_from(frozen, tmp_path):
    copy = tmp_path / "mine.jsonl"
    copy.write_text("".join(json.dumps(t.to_dict()) + "\n" for t in make_triples()))
    for path in (copy, frozen.folder / testset.TRIPLES):
        known = read_captions(path)
        assert (known.name, known.sha256) == ("mini", frozen.sha256)
    copy.write_text(copy.read_text().replace("pencil", "ink"))
    assert read_captions(copy).name == "mine"


def test_every_fault_is_named_by_its_line(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("file_name,base,target,category\nx.png,a man,with a beard,hair\n,a man,b,\nx.png,a man,,\n")
    with pytest.raises(UserError, match="4 problems") as caught:
        read_captions(path)
    told = [(problem.subject, problem.why) for problem in caught.value.problems]
    assert [subject for subject, _ in told] == ["line 2", "line 3", "line 4", "line 4"]
    assert "none of facial_attributes" in told[0][1] and told[1][1] == "id is missing, and file_name too"
    assert {why for _, why in told[2:]} == {"target is missing", "id 'x' is that of line 2"}


def test_texts_are_read_as_every_tokenizer_reads_them(tmp_path):
    path = tmp_path / "a.jsonl"
    row = {"id": "1", "base": "a man’s portrait, ﬁne lines", "target": "“old” &amp; grey"}
    path.write_text(json.dumps({**row, "phrases": ["ﬁne lines"]}) + "\n", encoding="utf-8")
    (triple,) = read_captions(path).triples
    assert (triple.base, triple.target) == ("a man's portrait, fine lines", '"old" & grey')
    assert triple.phrases == ("fine lines",)
