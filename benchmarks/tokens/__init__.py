"""What tokenizing a pool once costs, and what a run's start-up then costs."""
