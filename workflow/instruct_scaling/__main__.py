"""`python -m instruct_scaling` is the command `instruct-scaling`."""

from instruct_scaling.cli import main

main()
