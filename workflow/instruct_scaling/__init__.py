"""How much instruction data does each skill need? A scaling study, stage by stage."""

import os

__version__ = "0.1.0"

# Idle OpenMP threads sleep instead of spinning. On a machine with anything else to do, spinning
# made training with two threads six times slower. OpenMP reads this once, when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
