"""The facts of every metric, to be listed without importing one: their networks' packages take seconds.

Those of ours are written into ``facts.json`` by `python -m spf_bench.facts`, and a test tells when that is due.
Plug-ins have to be imported, and everything with them.
"""

from dataclasses import asdict
from importlib.metadata import entry_points
from pathlib import Path

from spf_bench.files.store import read_json, write_json
from spf_bench.plugins import GROUPS
from spf_bench.record import Column

FILE = Path(__file__).parent / "metrics" / "facts.json"
GROUP = GROUPS[1]


def facts() -> tuple[list[Column], dict[str, str]]:
    """Return the facts of all metrics in the order of a table, and why plug-ins could not be loaded, by name."""
    if not entry_points(group=GROUP):
        return [Column(**one) for one in read_json(FILE)], {}
    from spf_bench.metrics.plugins import discover

    return of_classes(), discover().broken


def of_classes() -> list[Column]:
    """Return the facts that the classes tell."""
    from spf_bench.metrics.catalogue import catalogue
    from spf_bench.record import column_of

    return [column_of(metric) for metric in catalogue()]  # type: ignore[arg-type]  # facts are the class's own


if __name__ == "__main__":
    write_json(FILE, [asdict(column) for column in of_classes()])
