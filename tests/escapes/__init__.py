"""Programs that try to win without solving, to reach the machine, or to stop the judge."""
