"""The whole suite's setting: the commands that tests start find their modules compiled."""

import os
import sys

if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
    # Tests start the program hundreds of times; each would compile every module anew, half a second at a time.
    sys.dont_write_bytecode = False
