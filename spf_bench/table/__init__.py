"""Finished runs side by side: rows, columns, tests, costs, and how they are printed."""
