"""Serve the emulated AWS in a process of its own: `python -m demo --night 2`. Ends on SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys

from demo.emulated_aws.server import EmulatedAws
from demo.large import large_world
from demo.organization import demo_world


def main() -> None:
    """Print the endpoint once it responds, and serve until stopped."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on; 0.0.0.0 in a container")
    parser.add_argument("--port", type=int, default=0, help="0 selects a free port")
    parser.add_argument("--night", type=int, choices=(1, 2), default=1, help="the night of the demo organization")
    parser.add_argument("--accounts", type=int, help="serve a large organization with this number of accounts instead")
    parser.add_argument("--regions", type=int, default=17, help="regions of the large organization")
    options = parser.parse_args()
    world = large_world(options.accounts, options.regions) if options.accounts else demo_world(options.night)
    # Blocked before the server's thread starts, which inherits the mask: sigwait is then the only one to take them.
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
    with EmulatedAws(world, host=options.host, port=options.port) as aws:
        sys.stdout.write(f"{aws.endpoint_url}\n")
        sys.stdout.flush()
        signal.sigwait((signal.SIGTERM, signal.SIGINT))


if __name__ == "__main__":
    main()
