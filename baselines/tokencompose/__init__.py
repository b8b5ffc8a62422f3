"""TokenCompose (arXiv:2312.03626): noise prediction plus two losses that ground nouns in their regions."""
