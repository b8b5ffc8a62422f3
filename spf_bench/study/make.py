"""Make a study of finished runs: pick the pairs, copy the portraits, write invitations and, if asked, the ballot."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from spf_bench.files.store import write_text
from spf_bench.study import model, plan
from spf_bench.study.cast import Cast, Order, cast_of
from spf_bench.study.model import Ballot, Contestant, Item, Shown, Study, Unit
from spf_bench.study.page import static_ballot
from spf_bench.study.pictures import Pictures
from spf_bench.study.questions import QUESTIONS
from spf_bench.table.layout import write_csv

__all__ = ["Order", "make"]


def make(order: Order) -> Study:
    """Write a study; nothing of it exists before all of it does.

    Raises:
        UserError: No such study can be made of these runs; everything that is wrong is named.
    """
    cast = cast_of(order)
    chosen = [*plan.choose(cast.pairs, cast.triples, order.size), *plan.checks(cast.triples, order.size)]
    order.to.absolute().parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{order.to.name}-", suffix=".part", dir=order.to.absolute().parent))
    try:
        study = _write(order, cast, chosen, part)
        part.chmod(0o755)
        os.replace(part, order.to)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return study


def _invitations(study: Study, static: bool) -> Iterator[tuple[object, ...]]:
    """Yield the rows of the invitations: what follows the server's address, and what opens the one file, if any."""
    yield ("participant", "code", "link", *(["file"] if static else []))
    for one in study.ballots:
        yield (one.number, one.code, f"/b/{one.code}/", *([f"{model.BALLOT}#{one.code}"] if static else []))


def _write(order: Order, cast: Cast, chosen: Sequence[Unit], folder: Path) -> Study:
    facts = cast.source.table.rows[0].record
    study = Study(
        schema=model.SCHEMA,
        id=secrets.token_hex(8),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        suite=facts.suite,
        testset=facts.testset.name,
        testset_sha256=facts.testset.sha256,
        seed=order.size.seed,
        minutes=order.minutes,
        ties=order.ties,
        questions=QUESTIONS,
        methods=tuple(Contestant(label, row.record.method.name, row.record.run) for label, row in cast.rows.items()),
        units=tuple(_shown(cast, chosen, Pictures(folder / model.IMAGES))),
        ballots=tuple(_ballots(plan.deal(chosen, len(cast.pairs), order.size))),
    )
    study.save(folder)
    write_text(folder / model.INVITATIONS, write_csv(_invitations(study, order.static)))
    if order.static:
        write_text(folder / model.BALLOT, static_ballot(study, folder))
    return study


def _shown(cast: Cast, chosen: Sequence[Unit], pictures: Pictures) -> Iterator[Shown]:
    """Copy the portraits; the wrong answer of a check is a mosaic of somebody else."""
    triples = {triple.id: triple for triple in cast.triples}
    order = list(triples)
    for unit in chosen:
        triple = triples[unit.triple]
        original = pictures.add(cast.portrait(cast.reference, triple))
        if unit.check:
            stranger = triples[order[(order.index(triple.id) + len(order) // 2) % len(order)]]
            images = original, pictures.spoil(cast.portrait(cast.reference, stranger), triple.id)
        else:
            a, b = (pictures.add(cast.portrait(cast.rows[label], triple)) for label in unit.pair)
            images = a, b
        yield Shown(unit, triple.base, triple.target, original, images)


def _ballots(dealt: Sequence[Sequence[plan.Placed]]) -> Iterator[Ballot]:
    """Yield ballots with codes and keys that nothing can be read from, not even by who knows the seed."""
    for number, placed in enumerate(dealt, start=1):
        items = tuple(Item(secrets.token_hex(6), one.unit, one.flipped) for one in placed)
        yield Ballot(number, f"{number:02}-{secrets.token_hex(8)}", items)
