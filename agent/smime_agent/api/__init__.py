"""The library: tokens opened, mails signed and verified. Here the clock, randomness, the edges and the roads meet.

The command line stands on the same functions as any other application.
"""
