"""Unpacks some folders of a wheel and checks every file written against the wheel's own RECORD.

Usage: python3 -I -c SCRIPT WHEEL OUT PREFIX...
Prints the unpacked files and their sizes as one JSON object. Runs on any Python 3.
"""
import base64
import csv
import hashlib
import io
import json
import os
import sys
import zipfile


def unpack(wheel, out, prefixes):
    with zipfile.ZipFile(wheel) as archive:
        records = [name for name in archive.namelist() if name.endswith(".dist-info/RECORD")]
        if len(records) != 1:
            sys.exit("%s: %d RECORD files, expected 1" % (wheel, len(records)))
        rows = csv.reader(io.StringIO(archive.read(records[0]).decode("utf-8")))
        expected = {row[0]: row[1] for row in rows if len(row) > 1}
        names = [name for name in archive.namelist() if name.startswith(prefixes) and not name.endswith("/")]
        archive.extractall(out, names)
    sizes = {}
    for name in names:
        with open(os.path.join(out, name), "rb") as file:
            data = file.read()
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode("ascii")
        if expected.get(name) != "sha256=" + digest:
            sys.exit("%s: its bytes are not those the wheel's RECORD promises" % name)
        sizes[name] = len(data)
    missing = [prefix for prefix in prefixes if not any(name.startswith(prefix) for name in names)]
    if missing:
        sys.exit("%s: holds nothing under %s" % (wheel, ", ".join(missing)))
    return sizes


json.dump(unpack(sys.argv[1], sys.argv[2], tuple(sys.argv[3:])), sys.stdout)
