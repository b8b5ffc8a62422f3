"""Images that anybody made, scored like a run's: pairs found by id, one pass, an ordinary record."""
