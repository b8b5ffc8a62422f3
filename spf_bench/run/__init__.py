"""From a method to its record: what is asked for, and the stages in their order."""
