"""Commands that other packages add: entry points of the group ``spf_bench.commands``.

An entry point names a function with Typer's annotations, or a ``typer.Typer``; ``show.maps`` puts it below
``spf-bench show``. Every one is imported whenever the command line starts, so its module imports nothing heavy.
"""

from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer

from spf_bench.errors import UserError

GROUP = "spf_bench.commands"


def install(app: typer.Typer, groups: Mapping[str, typer.Typer]) -> None:
    """Add every installed command; one that cannot be loaded is listed with its reason and stops nobody else.

    Args:
        app: Gets the commands.
        groups: Those of its groups that others may add to, by name.
    """
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        group, _, name = point.name.rpartition(".")
        place = groups.get(group, app) if group else app
        try:
            command = _load(point, group, name, place, groups)
        except Exception as error:
            place, command = app, _broken(point, f"{type(error).__name__}: {error}".splitlines()[0])
            name = f"{point.name} (plug-in)" if point.name in _names(app) else point.name
        if isinstance(command, typer.Typer):
            place.add_typer(command, name=name)
        else:
            place.command(name)(command)


def _load(point: EntryPoint, group: str, name: str, place: typer.Typer, groups: Mapping[str, typer.Typer]) -> Any:
    if group and group not in groups:
        raise LookupError(f"there is no group {group!r}")
    if name in _names(place):
        raise LookupError(f"there is a command {name!r} already")
    command = point.load()
    if not callable(command):
        raise TypeError(f"{point.value} is no function")
    return command


def _names(app: typer.Typer) -> set[str]:
    """Return what an app's commands and groups are called."""
    commands = {info.name or getattr(info.callback, "__name__", "") for info in app.registered_commands}
    return commands | {str(info.name) for info in app.registered_groups}


def _broken(point: EntryPoint, reason: str) -> Callable[[], None]:
    def command() -> None:
        raise UserError(f"the command {point.name!r} cannot be loaded", reason, f"mend or uninstall {point.value}")

    command.__doc__ = f"(cannot be loaded: {reason})"
    return command
