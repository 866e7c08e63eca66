"""The study's figures, drawn from its tables alone; `stage` is the command, `drawing` the work."""
