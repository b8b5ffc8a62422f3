"""Errors a user can mend: what failed, why, and the command or change that mends it."""

import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from string import digits
from typing import NamedTuple

MANY = 32  # names: more are no list to read


class Problem(NamedTuple):
    """One line of an error that reports several problems at once."""

    subject: str
    why: str
    fix: str


class UserError(Exception):
    """A mistake or gap the user can mend; the command line prints it without a traceback.

    Args:
        what: What failed, in one line.
        why: The cause, with the offending value.
        fix: The command or change that mends it.
        problems: More problems of the same kind, shown together as an aligned list.
    """

    def __init__(self, what: str, why: str = "", fix: str = "", problems: Iterable[Problem] = ()) -> None:
        super().__init__(what)
        self.what, self.why, self.fix = what, why, fix
        self.problems = tuple(problems)

    def __str__(self) -> str:
        lines = [self.what]
        if self.why:
            lines.append(f"  why  {self.why}")
        if self.fix:
            lines.append(f"  fix  {self.fix}")
        return "\n".join(lines + align(self.problems))

    def __reduce__(self) -> tuple[type["UserError"], tuple[object, ...]]:
        return UserError, (self.what, self.why, self.fix, self.problems)


@contextmanager
def explained(what: str, fix: str) -> Iterator[None]:
    """Say whatever goes wrong while a file from outside is read as a user's mistake: libraries have many errors.

    Args:
        what: What failed, in one line.
        fix: What mends it.

    Raises:
        UserError: With the first line of the error; one that is a user's already goes through, as does no memory left.
    """
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(what, why, fix) from error


def align(problems: tuple[Problem, ...]) -> list[str]:
    """Lay problems out in columns, one indented line each."""
    if not problems:
        return []
    subject, why = (max(len(problem[i]) for problem in problems) for i in (0, 1))
    return [f"  {p.subject:<{subject}}  {p.why:<{why}}  {p.fix}".rstrip() for p in problems]


def unknown(kind: str, name: str, known: Iterable[str], listing: str) -> UserError:
    """Build the error for a name nobody knows, naming the nearest known one.

    Args:
        kind: What the name should have been, e.g. ``"method"``.
        name: What the user wrote.
        known: Every name that would have worked.
        listing: The command that lists them.
    """
    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    listed = f"known: {_listed(names)}"
    hint = f"did you mean {near[0]!r}?" if near else ""
    why = f"{hint} {listed}".strip() if len(names) > MANY else hint or listed
    return UserError(f"no {kind} is called {name!r}", why, listing)


def _listed(names: Sequence[str]) -> str:
    """Return sorted names; of many that differ in their numbers alone, the first and the last."""
    if len(names) > MANY and len({name.rstrip(digits) for name in names}) == 1:
        return f"{names[0]} to {names[-1]}"
    return ", ".join(names) or "none"


def quoted(path: object) -> str:
    """Return a path, or a name that may be one, as it is typed in a command: quoted where a shell would split it."""
    return shlex.quote(str(path))


def installing(extra: str) -> str:
    """Return how the optional packages of an extra of ``pyproject.toml``, e.g. ``"demo"``, are installed."""
    return f"pip install '.[{extra}]' in the clone; with uv: uv run --extra {extra} spf-bench ..."
