"""`grid_witness` lies here and is shared by the tests of Bayesian criticism."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
