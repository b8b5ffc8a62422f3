"""Commands that need benchmark and trainer together; each module is light, its imports wait inside the function."""
