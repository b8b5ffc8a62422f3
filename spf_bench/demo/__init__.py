"""A page to try methods on any text: original and customised portraits side by side, and where a method looked."""
