"""LoRA (arXiv:2106.09685) at the rank that does best on validation triples, or at a given one."""
