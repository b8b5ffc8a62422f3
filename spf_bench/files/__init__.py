"""Files that hold: written whole, found damaged, locked, and never trusted from outside."""
