"""The agent: one process that holds tokens for the programs of one user, and what speaks with it.

``server`` and what belongs to it never load a PKCS#11 module and never see a PIN; a ``worker`` does both, in a process
of its own. ``client`` is what commands use.
"""
