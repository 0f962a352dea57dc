"""`python -m pylon.devnet`."""

from pylon.devnet.command import main

main()
