"""Experiments on live traffic: who sees which arm, and what can be said of it at any time."""
