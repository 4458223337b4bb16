"""The part of azure-sdk-tools' devtools_testutils that the tests of azure-eventhub use."""

import os
import time

from azure.core.credentials import AccessToken


def get_region_override(default):
    return default


def _token(scopes):
    name = "INTEROP_STORAGE_TOKEN" if "storage" in scopes[0] else "INTEROP_TOKEN"
    return AccessToken(os.environ[name], int(time.time()) + 3600)


class _Credential:
    def get_token(self, *scopes, **_):
        return _token(scopes)


class _AsyncCredential:
    async def get_token(self, *scopes, **_):
        return _token(scopes)

    async def close(self):
        pass

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        pass


def get_credential(is_async=False, **_):
    return _AsyncCredential() if is_async else _Credential()
