"""Writes the domains of throw-away addresses, one a line, sorted by bytes, for binary search.

    pip download --no-deps disposable-email-domains==0.0.293
    python3 -m zipfile -e disposable_email_domains-*.whl package
    python3 collect.py package

The list is kept at github.com/disposable-email-domains/disposable-email-domains (CC0); the package that
carries it is MIT.
"""

import pathlib
import sys

sys.path.insert(0, sys.argv[1])
import disposable_email_domains  # noqa: E402

domains = set(disposable_email_domains.blocklist) - set(disposable_email_domains.allowlist)
assert all(domain.isascii() and domain == domain.lower() and "." in domain for domain in domains)
text = "".join(f"{domain}\n" for domain in sorted(domains))
pathlib.Path(__file__).with_name("domains.txt").write_text(text)
