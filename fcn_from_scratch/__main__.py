"""`python -m fcn_from_scratch` is the `fcn` command."""

import sys

from fcn_from_scratch.cli import main

sys.exit(main())
