"""Makes Python's clients trust the authority of the suites: they take certifi's list by default."""

import os

try:
    import certifi
except ImportError:
    pass
else:
    if "SSL_CERT_FILE" in os.environ:
        certifi.where = lambda: os.environ["SSL_CERT_FILE"]
