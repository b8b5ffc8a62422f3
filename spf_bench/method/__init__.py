"""Methods: their contract (``contract``), and how they are found (``discovery``)."""

from spf_bench.method.contract import Method, TrainJob
from spf_bench.method.discovery import GROUP, Listing, checked, discover, get_method

__all__ = ["GROUP", "Listing", "Method", "TrainJob", "checked", "discover", "get_method"]
