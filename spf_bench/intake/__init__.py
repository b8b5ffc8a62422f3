"""A user's captions, and images where there are some, made into a test set: all of it, or nothing and a report."""
