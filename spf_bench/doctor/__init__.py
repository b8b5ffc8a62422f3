"""What a run needs and whether it is here."""
