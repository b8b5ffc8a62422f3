"""Whether metrics still give the numbers they gave: a few stored pairs of portraits, measured anew."""
