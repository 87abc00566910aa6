"""Digests of secrets at a small part of their cost, which is 0.1 s for each run that has one.

The cost itself is tested by what the program asks for (``tests/security/test_secret_digests.py``). As a script it is the
program, for tests whose other runs are so cheap: what one has written, the other one knows.
"""

import hashlib

_real = hashlib.scrypt


def _cheap(password, **how):
    return _real(password, **{**how, "n": 2})


def use():
    """From now on, in this process and in those that are forked from it."""
    hashlib.scrypt = _cheap


if __name__ == "__main__":
    use()
    from reconciler.cli.main import main

    main()
