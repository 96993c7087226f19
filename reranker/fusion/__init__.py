"""From signals to scores."""
