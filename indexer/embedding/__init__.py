"""Texts to vectors, by a recipe."""
