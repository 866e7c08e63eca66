"""A real SLURM cluster on one machine, and tests that run on it (see cluster.py)."""
