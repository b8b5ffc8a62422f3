"""Captions at the paper's scale: a grammar of portraits with 160 targets, and the test sets drawn from it.

``lexicon`` reads the word files (``words/``) and knows what contradicts what; ``people`` says who is portrayed;
``grammar`` and ``general`` compose base texts; ``build`` draws the sets, ``cards`` and ``freeze`` write them.
"""
