"""Which records of a pool a run trains on: one file per kind of selection, or few that belong
together. `select.py` says which function draws for which kind."""
