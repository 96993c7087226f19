"""What people define while the sidecar runs, and how it is sent, kept and followed.

Rules and experiments are such definitions. Knows of neither.
"""
