"""Merchandising rules: what a shop decides by hand about its searches, after the fusion."""
