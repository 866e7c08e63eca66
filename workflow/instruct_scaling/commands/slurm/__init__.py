"""What `run`, `plan` and `doctor` know of SLURM: the site, its profile, its controller."""
