"""`python -m extproc.cli`: the command where nothing is installed."""

import sys

from extproc.cli import main

sys.exit(main())
