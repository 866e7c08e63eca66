"""Stage judge: scores in [0, 1] for the responses of one run, or the reason why there is none."""
