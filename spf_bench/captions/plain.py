"""Texts as every tokenizer reads them alike.

Tokenizers differ on typographic quotes, ligatures and HTML entities: open_clip's mends them first, that of Transformers
does not, so one caption would be two for two networks of one table.
"""

import html
import unicodedata

QUOTES = str.maketrans(dict.fromkeys("‘’‚‛", "'") | dict.fromkeys("“”„‟", '"'))


def plain(text: str) -> str:
    """Return a caption in NFKC, with straight quotes, and with characters in place of HTML entities."""
    return unicodedata.normalize("NFKC", html.unescape(text)).translate(QUOTES)
