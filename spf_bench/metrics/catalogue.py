"""Every metric there is, by its facts alone: no network is loaded."""

import importlib
import inspect
import pkgutil

from spf_bench import metrics
from spf_bench.metrics.base import Facts, Group
from spf_bench.metrics.plugins import discover

ORDER = ("fid", "lpips", "id", "clip_i", "seg_cons")
"""How the paper's Table 1 orders the preservation metrics; others follow."""


def catalogue() -> list[type[Facts]]:
    """Return the metric classes, plug-ins included, in the order of a table."""
    modules = [importlib.import_module(f"{metrics.__name__}.{m.name}") for m in pkgutil.iter_modules(metrics.__path__)]
    classes = {
        found.key: found
        for module in modules
        for found in vars(module).values()
        if inspect.isclass(found) and issubclass(found, Facts) and hasattr(found, "key")
    }
    classes = discover().metrics | classes
    groups = list(Group)

    def place(found: type[Facts]) -> tuple[int, int, str]:
        within = ORDER.index(found.key) if found.key in ORDER else len(ORDER)
        return groups.index(found.group), within, found.key

    return sorted(classes.values(), key=place)
