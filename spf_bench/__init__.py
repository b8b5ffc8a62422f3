"""spf-bench: does a text-to-image customisation keep everything it was not asked to change?"""

__version__ = "0.1.0"
