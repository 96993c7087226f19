"""Sample catalogues and behaviour."""
