"""The certificates by which the hosts of APIs are checked."""

from __future__ import annotations

import functools
import os
import ssl

__all__ = ["trusted_certificates"]


def trusted_certificates() -> ssl.SSLContext:
    """Those of the system, or of ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``.

    They are read once, because each reading takes some 30 ms of CPU, and every job of an agent has a proxy.
    """
    return _read(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@functools.cache
def _read(_file: str | None, _directory: str | None) -> ssl.SSLContext:
    """OpenSSL takes both from the environment; they are arguments so that a change of them counts."""
    return ssl.create_default_context()
