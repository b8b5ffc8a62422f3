"""Measurements of the trainer and its data pipeline; run as `python -m benchmarks.NAME`."""
