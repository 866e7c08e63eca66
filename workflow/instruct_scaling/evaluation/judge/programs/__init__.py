"""Programs in answers: found, run behind walls, and tested from another process."""
