"""Base models: loading them, and sampling with them."""
