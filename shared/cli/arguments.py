"""The command line's parser: its help keeps its line breaks, and wrong arguments end as sysexits.h has it."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn

from shared.cli.exits import Exit


class Parser(argparse.ArgumentParser):
    """A parser whose own status for wrong arguments is 64: argparse's 2 says `unhealthy` here."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and end."""
        self.print_usage(sys.stderr)
        self.exit(Exit.USAGE, f"{self.prog}: error: {message}\n")
