"""What tests stand on: a CA, tokens in SoftHSM, and the program as a stranger runs it."""
