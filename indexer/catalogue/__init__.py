"""Catalogue items: from feed lines to documents and cards."""
