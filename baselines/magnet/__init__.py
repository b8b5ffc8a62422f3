"""Magnet (NeurIPS 2024, arXiv:2409.19967): binds attributes to their nouns in the text embedding, without training.

Written from the paper's formulas. A caption's pairs of noun and attribute are found by `pairs` (or `trees`), `phrases`
embeds phrases, `bank` knows a noun's neighbours, `edit` moves the embedding, `method` is what the benchmark runs.
"""
