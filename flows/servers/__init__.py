"""The servers of this machine: where they are, started and kept up, all on loopback."""
