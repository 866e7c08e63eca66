"""What fine-tuning BLOOM costs on a CPU, against what a user would pick instead."""
