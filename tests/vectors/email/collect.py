"""Collects addresses that others have judged, from the tests of email-validator.

    pip download --no-deps --no-binary :all: email-validator==2.4.0
    tar xzf email_validator-2.4.0.tar.gz
    python3 collect.py email_validator-2.4.0/tests/test_syntax.py

Nothing of it is run: the lists are read from the source. They hold its own examples and, under
"isemail", Dominic Sayers' set with his verdicts (RFC 5321, 5322 and 3696 with errata).
"""

import ast
import json
import pathlib
import sys

LISTS = {
    "test_email_valid": "valid",
    "test_email_valid_intl_local_part": "valid",
    "test_email_valid_only_if_quoted_local_part": "quoted",
    "test_email_invalid_syntax": "invalid",
    "test_email_invalid_syntax_display_name": "invalid",
    "test_pyisemail_tests": "isemail",
}


def value(node):
    """The literal that a node holds; of a call, nothing."""
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def rows(function):
    """Each row of the function's `parametrize`."""
    for decorator in function.decorator_list:
        if getattr(decorator.func, "attr", "") == "parametrize":
            for row in decorator.args[1].elts:
                yield [value(cell) for cell in row.elts] if isinstance(row, (ast.Tuple, ast.List)) else [value(row)]


def main():
    tree = ast.parse(pathlib.Path(sys.argv[1]).read_text())
    found = []
    for function in tree.body:
        kind = LISTS.get(getattr(function, "name", ""))
        for row in rows(function) if kind else ():
            verdict = row[1] if kind == "isemail" else kind
            # What is no text cannot be JSON: a lone surrogate, for one.
            if isinstance(row[0], str) and row[0].encode("utf-8", "replace").decode() == row[0]:
                found.append({"from": kind, "address": row[0], "verdict": verdict})
    lines = ",\n".join(json.dumps(entry, sort_keys=True) for entry in found)
    pathlib.Path(__file__).with_name("addresses.json").write_text(f"[\n{lines}\n]\n")


main()
