"""The benchmark's own methods, one a file: the only place where benchmark and trainer meet."""
