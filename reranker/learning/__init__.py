"""From journalled behaviour to a better model; never imported by what serves."""
