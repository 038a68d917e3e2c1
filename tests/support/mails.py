"""Mails to sign."""

from __future__ import annotations


def mail(
    sender: str = "Alice <alice@example.org>", *, body: str = "Hello, Bob.\n", subject: str = "Greetings"
) -> bytes:
    """A plain mail from somebody."""
    head = f"From: {sender}\nTo: Bob <bob@example.org>\nSubject: {subject}\nContent-Type: text/plain; charset=utf-8\n"
    return f"{head}\n{body}".encode()


MAIL = mail()
