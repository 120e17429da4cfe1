"""`python -m geodet` is the `geodet` command."""

import sys

from geodet.cli import main

sys.exit(main())
