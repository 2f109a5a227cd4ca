"""`engine` lies here and is shared by the tests of bad input and of invariance."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
