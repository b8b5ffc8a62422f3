"""What a track asks for, how its portraits are scored, and that tables keep tracks apart."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from spf_bench import testset
from spf_bench.captions import beside
from spf_bench.errors import UserError
from spf_bench.progress import Silent
from spf_bench.run.execute import execute
from spf_bench.run.plan import Run
from spf_bench.table.model import build, collect
from spf_bench.tracks import Place, Track, cases
from spf_bench.triple import Category, Triple, image
from spf_bench.world import targets
from tests.bench.conftest import make_triples

Planned = Callable[..., Run]
MORE = {
    "wearing a straw hat": Category.accessories,
    "with rosy cheeks": Category.facial_attributes,
    "sepia style": Category.image_style,
}


def pool() -> list[Triple]:
    extra = [Triple(f"more-{i}", "a man", t, c, i, ("a man",)) for i, (t, c) in enumerate(MORE.items())]
    return [*make_triples(), *extra]


def anything(phrases: Sequence[str], texts: Sequence[str]) -> bool:
    return True


def on(run: Run, track: Track) -> Run:
    """The run on another track, its test set rich enough for sequences."""
    return replace(run, track=track, testset=replace(run.testset, triples=tuple(pool())), limit=2)


def test_retention_asks_for_the_base_text_alone() -> None:
    asked = cases(Track.retention, make_triples(), pool(), anything)
    assert [(c.id, c.prompt, c.targets) for c in asked] == [(t.id, t.base, ()) for t in make_triples()]
    assert all(
        (c.seed, c.phrases, c.part) == (t.seed, t.phrases, t.part) for c, t in zip(asked, make_triples(), strict=True)
    )


def test_a_sequence_replaces_twice_and_adds_twice_on_the_same_base_and_noise() -> None:
    triple = make_triples()[0]
    start, once, twice, added, more = cases(Track.sequence, [triple], pool(), anything)
    assert start.prompt == triple.prompt and start.id != triple.id
    assert {c.base for c in (start, once, twice, added, more)} == {triple.base}
    assert {(c.seed, c.origin) for c in (start, once, twice, added, more)} == {(triple.seed, triple.id)}
    assert len({start.target, once.target, twice.target}) == 3 and len(once.targets) == 1
    assert added.targets[0] == more.targets[0] == triple.target and more.targets[:2] == added.targets
    assert more.target == ", ".join(more.targets) and len(set(more.targets)) == 3
    assert [c.part for c in (start, once, twice, added, more)] == [place.value for place in Place]


def test_a_sequence_depends_on_its_triple_alone() -> None:
    some, all_ = make_triples()[2:4], make_triples()
    short, whole = (cases(Track.sequence, triples, pool(), anything) for triples in (some, all_))
    assert set(short) <= set(whole)


def test_a_replacement_is_of_the_same_kind_where_one_fits() -> None:
    first = make_triples()[0]
    found = {t.target: t.category for t in pool()}
    once = cases(Track.sequence, [first], pool(), anything)[1]
    assert found[once.target] == first.category


def test_a_triple_without_fitting_targets_has_no_sequence_and_none_at_all_is_an_error() -> None:
    picky = lambda phrases, texts: len(texts) < 3  # noqa: E731
    with pytest.raises(UserError, match="no sequences"):
        cases(Track.sequence, make_triples(), pool(), picky)


def test_the_world_puts_together_what_one_portrait_can_show() -> None:
    man = ("a man with tan skin", "cropped hair", "in a green sweater")
    assert targets.go_together(man, ["with a beard", "wearing sunglasses", "with blonde hair"])
    assert not targets.go_together(("a woman with tan skin",), ["with a beard"])
    assert not targets.go_together(("a man with tan skin", "cropped red hair"), ["with blonde hair"])
    assert not targets.go_together(man, ["wearing a black blazer"])
    assert not targets.go_together(man, ["wearing sunglasses", "wearing an eyepatch"])
    assert not targets.go_together(man, ["sepia style", "with blonde hair"])
    assert targets.go_together(man, [])


def test_the_grammar_puts_together_what_contradicts_nowhere() -> None:
    base = ("A woman in her thirties", "wearing a white lab coat", "in a laboratory")
    assert beside.go_together(base, ["wearing round glasses"])
    assert not beside.go_together(base, ["wearing a denim jacket"])
    assert not beside.go_together(base, ["with a full beard"])
    assert not beside.go_together(base, ["wearing a red beret", "wearing a straw hat"])
    assert not beside.go_together((*base, "very long " * 40), ["wearing round glasses"])


@pytest.mark.parametrize("name", ["spf-200-v1", "world-v1"])
def test_every_frozen_triple_has_a_sequence_and_fits_its_own_target(name: str) -> None:
    fits = targets.go_together if name == "world-v1" else beside.go_together
    triples = testset.load(name).triples
    assert all(fits(triple.phrases, [triple.target]) for triple in triples)
    assert len(cases(Track.sequence, triples, triples, fits)) == 5 * len(triples)


def test_the_original_model_retains_everything(planned: Planned) -> None:
    run = on(planned("prompt_only"), Track.retention)
    record = execute(run, Silent())
    assert record.track == "retention" and record.images_sha256 == record.originals_sha256
    assert {c.key for c in record.columns} == {"fid", "clip_i"} and "clip_t" not in record.scores["all"]
    assert record.scores["all"]["clip_i"].mean == pytest.approx(1) and "--track retention" in record.command


def test_a_trained_method_is_not_trained_again_for_another_track(planned: Planned) -> None:
    plain, kept = (on(planned("naive"), track) for track in (Track.triples, Track.retention))
    first, second = execute(plain, Silent()), execute(kept, Silent())
    assert first.training == second.training and plain.folder != kept.folder
    assert second.images_sha256 not in (first.images_sha256, second.originals_sha256)


def test_without_a_target_an_adapter_adds_nothing(planned: Planned) -> None:
    changes = ["stage2.trainable=adapter", "stage2.lr=0.5", "stage1=null"]
    plain = planned("spf")
    run = on(replace(plain, method=plain.method.with_changes(changes)), Track.retention)
    record = execute(run, Silent())
    assert record.images_sha256 == record.originals_sha256  # the adapter sits on the original model


def test_a_sequence_is_scored_against_the_originals_step_by_step(planned: Planned) -> None:
    run = on(planned("prompt_only"), Track.sequence)
    record = execute(run, Silent())
    assert (record.n, record.scores["all"]["clip_t"].n) == (2, 10)
    assert set(record.scores) == {"all", *Place} and record.scores["added_twice"]["clip_t"].n == 2
    frame = pd.read_parquet(run.folder / "scores.parquet")
    assert sorted(set(frame["origin"])) == [t.id for t in run.triples] and len(frame) == 10
    reference = execute(on(planned("original"), Track.sequence), Silent())
    assert reference.scores["all"]["clip_i"].mean == pytest.approx(1)
    first = run.cases[0]
    assert image(run.images, first).is_file() and not image(run.originals, first).exists()


def test_tables_keep_tracks_apart_and_split_a_sequence_by_its_steps(planned: Planned) -> None:
    for track in Track:
        for name in ("original", "prompt_only"):
            execute(on(planned(name), track), Silent())
    tables = build(collect(planned("original").runs))
    assert [(t.rows[0].record.track, len(t.rows)) for t in tables] == [(track.value, 2) for track in Track]
    assert "base texts alone" in tables[1].heading and "n = 10 of 2 triples" in tables[2].heading
    assert not any("over-align" in note for note in tables[1].notes) and not any(r.unresponsive for r in tables[1].rows)
    steps = [t.category for t in build(collect(planned("original").runs), by_category=True) if t.n == 2][-5:]
    assert steps == [place.value for place in Place]


def test_tracks_from_the_command_line(cli: Callable[..., object], tmp_path: Path) -> None:
    words = ("--suite", "mini", "--limit", 2, "--runs", tmp_path / "runs", "--device", "cpu")
    done = cli("run", "--method", "prompt_only", "--track", "retention", *words)
    assert done.exit_code == 0, done.output
    assert "base texts alone" in done.stdout and "CLIP-T" not in done.stdout
    done = cli("run", "--method", "prompt_only", "--track", "sequence", *words)
    assert done.exit_code == 0 and "n = 10 of 2 triples" in done.stdout, done.output
    steps = cli("table", "--runs", tmp_path / "runs", "--by", "step").stdout
    assert "targets replaced and added, added twice: n = 2," in steps
    unknown = cli("run", "--method", "prompt_only", "--track", "retain", *words)
    assert unknown.exit_code == 2 and "retention" in unknown.stderr
