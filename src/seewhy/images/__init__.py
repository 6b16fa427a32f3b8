"""Pixels: reading them, knowing where they lie, and drawing on them."""
