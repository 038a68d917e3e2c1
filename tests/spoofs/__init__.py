"""Mails that lie about who wrote them, each in one way, and mails that look strange and are honest.

``python -m tests.spoofs FOLDER`` writes all of them, for trying other programs on them.
"""
