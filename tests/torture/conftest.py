"""`workshop` lies in tests/plan and is shared."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "plan"))
sys.path.insert(0, str(Path(__file__).parent))
