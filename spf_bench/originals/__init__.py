"""The original portraits of a test set: made once, by ``testset build`` or by the first run that needs them.

A folder of originals holds one PNG a triple, ``manifest.jsonl`` with the SHA-256 of each, and ``build.json`` with all
that decided their pixels. It lies in the runs' cache, or in a test set that was built to stand alone.
"""
