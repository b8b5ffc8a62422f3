"""What would stop a run after its training, looked for before."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from spf_bench.errors import Problem, UserError
from spf_bench.plugins import reason
from spf_bench.run.plan import Run

SHOWN = 10


def check(run: Run) -> None:
    """Refuse a run that cannot end well.

    Raises:
        UserError: Naming the test cases whose text is longer than the text encoder reads: the end of it, the
            target, would be lost.
    """
    problems = list(too_long(run.suite.pipeline, [text for case in run.cases for text in (case.base, case.prompt)]))
    if problems:
        shown = problems[:SHOWN]
        if len(problems) > SHOWN:
            shown.append(Problem("...", f"and {len(problems) - SHOWN} more", ""))
        what = f"{len(problems)} texts of {run.testset.name} are longer than the text encoder reads"
        raise UserError(what, "nothing was trained", "shorten them, or leave them out with --limit", shown)


def check_settings(runs: Sequence[Run]) -> None:
    """Refuse runs of which one has wrong settings or cannot be trained, before the first of them takes its time.

    Raises:
        UserError: Naming every method whose settings are wrong, or lack something in this suite, and why.
    """
    errors = dict[str, UserError]()
    for run in runs:
        try:
            run.method.config(run.preset)
            if run.trains:
                run.method.preflight(run.suite, run.preset)
        except UserError as error:
            errors[run.method.name] = error
    if len(errors) == 1:
        raise next(iter(errors.values()))
    if errors:
        problems = [Problem(name, reason(error), error.fix) for name, error in errors.items()]
        raise UserError(f"{len(errors)} of {len(runs)} methods cannot run as asked", problems=problems)


def too_long(pipeline: Path, texts: Sequence[str]) -> Iterator[Problem]:
    """Yield every distinct text with more tokens, start and end included, than the pipeline's text encoder reads."""
    from spf_bench.models.text_length import overlong, shown

    for text, why in overlong(pipeline, texts).items():
        yield Problem(shown(text), why, "")
