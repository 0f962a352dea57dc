"""`python -m pylon_devnet`."""

from pylon_devnet.devnet_command import main

main()
