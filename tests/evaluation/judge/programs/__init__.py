"""Programs in answers."""
