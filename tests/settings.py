"""The site's own settings on a temporary folder: a test never sees the developer's data or environment."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

SITE_VARIABLES = ("DATABASE_URL", "REDIS_URL", "JOULEBOOK_")
TEST_VARIABLES = ("JOULEBOOK_SHARED_DATA", "JOULEBOOK_CI", "JOULEBOOK_SCREENSHOTS")  # what tests themselves are told
for name in list(os.environ):
    if name.startswith(SITE_VARIABLES) and name not in TEST_VARIABLES:
        del os.environ[name]
os.environ["JOULEBOOK_VAR"] = tempfile.mkdtemp(prefix="joulebook-tests-")
atexit.register(shutil.rmtree, os.environ["JOULEBOOK_VAR"], ignore_errors=True)

from portal.settings import *  # noqa: E402, F403 - the environment has to be clean before it is read

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick; nobody's real password
