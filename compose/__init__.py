"""Puts the processes together: Docker files and the local stack."""
