"""`python -m tests.bench [--quick]`: the life cycle of tasks; `python -m tests.bench.archive` measures archives."""

import sys

from tests.bench.lifecycle import main

sys.exit(0 if main("--quick" in sys.argv) else 1)
