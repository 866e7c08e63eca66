"""How much instruction data does each skill need? A scaling study, stage by stage."""

__version__ = "0.1.0"
