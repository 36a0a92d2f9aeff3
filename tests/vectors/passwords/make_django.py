"""Hashes of one password as Django stores them, for the import.

    pip install django argon2-cffi bcrypt
    python make_django.py > django.jsonl

Made once with Django 5.2.19. Costs are low: what the hashes cost is not what the tests are about.
"""

import json

from django.conf import settings

settings.configure()

from django.contrib.auth.hashers import (  # noqa: E402
    Argon2PasswordHasher,
    BCryptPasswordHasher,
    BCryptSHA256PasswordHasher,
    PBKDF2PasswordHasher,
    ScryptPasswordHasher,
)

PASSWORD = "correct horse b\u00e4ttery"
SALT = "seasalt2seasalt2seasal"


class Pbkdf2(PBKDF2PasswordHasher):
    iterations = 1000


class Scrypt(ScryptPasswordHasher):
    work_factor = 2**10


class Argon2(Argon2PasswordHasher):
    memory_cost, time_cost, parallelism = 256, 1, 1


class Bcrypt(BCryptPasswordHasher):
    rounds = 4


class BcryptOfDigest(BCryptSHA256PasswordHasher):
    rounds = 4


def line(kind, stored, imports=True):
    print(json.dumps({"kind": kind, "password": PASSWORD, "hash": stored, "imports": imports}))


for kind, hasher in (("pbkdf2", Pbkdf2()), ("scrypt", Scrypt()), ("argon2", Argon2())):
    line(kind, hasher.encode(PASSWORD, SALT))
line("bcrypt", Bcrypt().encode(PASSWORD, Bcrypt().salt()))
line("bcrypt_sha256", BcryptOfDigest().encode(PASSWORD, BcryptOfDigest().salt()), imports=False)
