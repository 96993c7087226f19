"""From a search body to candidates."""
