"""What a person calls beside the stages: `validate`, `plan`, `run`, `doctor`."""
