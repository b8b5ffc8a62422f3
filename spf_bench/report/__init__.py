"""One self-contained HTML page of finished runs: tables, trade-off, portraits, maps, training, origins."""

from spf_bench.report.page import Written, write

__all__ = ["Written", "write"]
