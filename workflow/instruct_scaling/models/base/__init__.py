"""The base stage: the model that every run of an arm starts from, as one folder."""
