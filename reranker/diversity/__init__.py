"""Variety within a ranked list: scores, items and a dial come in, an order goes out."""
