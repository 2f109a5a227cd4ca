"""`workshop` lies in tests/plan and is shared by four folders."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "plan"))
