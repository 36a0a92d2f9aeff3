"""Hashes of one password by other people's tools, for the tests of imported accounts.

    pip install bcrypt passlib argon2-cffi
    python make_hashes.py > hashes.jsonl

Made once with bcrypt 5.0, passlib 1.7.4, argon2-cffi 25.1 and Python's hashlib. Salts are fixed, costs are low: what the
hashes cost is not what the tests are about.
"""

import base64
import hashlib
import json

import argon2.low_level as argon2
import bcrypt
from passlib.hash import pbkdf2_sha256, pbkdf2_sha512, scrypt

PASSWORD = "correct horse b\u00e4ttery"
SALT = bytes(range(16))


def bare(data):
    return base64.b64encode(data).decode().rstrip("=")


def line(maker, kind, phc, password=PASSWORD):
    print(json.dumps({"maker": maker, "kind": kind, "password": password, "hash": phc}))


secret = PASSWORD.encode()
for version in ("2a", "2b"):
    salt = bcrypt.gensalt(4, version.encode())
    line("bcrypt", "bcrypt-" + version, bcrypt.hashpw(secret, salt).decode())
php = bcrypt.hashpw(secret, bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$")
line("bcrypt", "bcrypt-2y", php)
long = "correct horse battery " * 4
line("bcrypt", "bcrypt-72", bcrypt.hashpw(long.encode()[:72], bcrypt.gensalt(4)).decode(), long)
line("passlib", "scrypt", scrypt.using(salt=SALT, rounds=8, block_size=8, parallelism=1).hash(secret))
made = hashlib.scrypt(secret, salt=SALT, n=1024, r=4, p=2, dklen=32)
line("hashlib", "scrypt-p2", f"$scrypt$ln=10,r=4,p=2${bare(SALT)}${bare(made)}")
line("passlib", "pbkdf2-sha256", pbkdf2_sha256.using(salt=SALT, rounds=1000).hash(secret))
line("passlib", "pbkdf2-sha512", pbkdf2_sha512.using(salt=SALT, rounds=1000).hash(secret))
made = hashlib.pbkdf2_hmac("sha256", secret, SALT, 1000, 32)
line("hashlib", "pbkdf2-sha256-phc", f"$pbkdf2-sha256$i=1000,l=32${bare(SALT)}${bare(made)}")
made = hashlib.pbkdf2_hmac("sha512", secret, SALT, 1000, 64)
line("hashlib", "pbkdf2-sha512-phc", f"$pbkdf2-sha512$i=1000,l=64${bare(SALT)}${bare(made)}")
for kind, form in (("argon2id", argon2.Type.ID), ("argon2i", argon2.Type.I), ("argon2d", argon2.Type.D)):
    line("argon2-cffi", kind, argon2.hash_secret(secret, SALT, 2, 256, 2, 32, form).decode())
line("argon2-cffi", "argon2id-16", argon2.hash_secret(secret, SALT, 2, 256, 1, 24, argon2.Type.ID, 16).decode())
