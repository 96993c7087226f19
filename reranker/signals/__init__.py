"""What is known about each candidate, as numbers."""
