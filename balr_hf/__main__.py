"""`python -m balr_hf` (and `accelerate launch -m balr_hf`) is `balr`, also where scripts are not on the path."""

import sys

from balr_hf.cli.main import main

if __name__ == "__main__":  # so that to import it runs nothing
    sys.exit(main())
