"""Whom to believe: anchors, certification paths, revocation, and whether the signer is who the mail says."""
