"""`python -m geochat` is the `geochat` command."""

import sys

from geochat.cli import main

sys.exit(main())
