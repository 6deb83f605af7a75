"""``python -m authserver``: the same as the ``authserver`` command."""

import sys

from authserver.cli import main

if __name__ == "__main__":
    sys.exit(main())
