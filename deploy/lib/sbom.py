#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a built program is made of: an SPDX 2.3 document of programs and the Debian packages that their libraries came from.

    deploy/lib/sbom.py --name NAME --version VERSION --created EPOCH [--commit COMMIT] [--extra FILE…] PROGRAM…

Prints JSON to stdout; the same programs on the same system give the same bytes. `--extra` names files of packages that go along
(certificates, say). `--list` prints the files of the libraries, one a line, instead. Needs ldd and dpkg-query.
"""
import argparse
import datetime
import hashlib
import json
import os
import platform
import re
import subprocess
import sys

ASSAY_LICENSE = "Apache-2.0 AND (GPL-2.0-only OR BSD-2-Clause)"  # the BPF programs are inside the agent
FIELDS = ["Package", "Version", "Architecture", "source:Package", "source:Version", "Maintainer", "Homepage"]


class Failure(Exception):
    """Something that the document must say is not known."""


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    if done.returncode != 0:
        raise Failure(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def libraries_of(program):
    """Paths of all shared libraries of a program, the dynamic linker among them; none for a static one."""
    done = subprocess.run(["ldd", program], capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    if "not a dynamic executable" in done.stdout + done.stderr or "statically linked" in done.stdout:
        return []
    if done.returncode != 0 or "not found" in done.stdout:
        raise Failure(f"ldd {program}: {(done.stdout + done.stderr).strip()}")
    return sorted(set(re.findall(r"(/\S+)(?: \(0x|$)", done.stdout, re.MULTILINE)))


def packages_of(paths):
    """The names (with their architecture where there are several) of the Debian packages that hold these files."""
    names = {path: [path, os.path.realpath(path), os.path.realpath(path).removeprefix("/usr"), "/usr" + path] for path in paths}
    done = subprocess.run(["dpkg-query", "--search", *sorted({name for known in names.values() for name in known})],
                          capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    owners = {name: owner.split(", ")[0] for owner, _, name in
              (line.rpartition(": ") for line in done.stdout.splitlines()) if not owner.startswith("diversion")}
    found = set()
    for path, known in names.items():
        owner = next((owners[name] for name in known if name in owners), None)
        if owner is None:
            raise Failure(f"{path}: no Debian package holds it; build where all libraries come from packages")
        found.add(owner)
    return sorted(found)


def describe(package):
    line = run("dpkg-query", "--show", "--showformat", "\\t".join(f"${{{field}}}" for field in FIELDS), package)
    return dict(zip(FIELDS, line.split("\t")))


def spdx_id(*words):
    return "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", "-".join(words))


def distribution():
    """(ID, ID-VERSION) of the system whose packages these are; testing and unstable have a code name and no version."""
    release = platform.freedesktop_os_release()
    version = release.get("VERSION_ID") or release.get("VERSION_CODENAME")
    return release["ID"], "-".join(filter(None, (release["ID"], version)))


def debian_package(facts):
    vendor, distro = distribution()
    purl = (f"pkg:deb/{vendor}/{facts['Package']}@{facts['Version'].replace('+', '%2B').replace(':', '%3A').replace('~', '%7E')}"
            f"?arch={facts['Architecture']}&distro={distro}")
    return {
        "SPDXID": spdx_id("Package", facts["Package"]), "name": facts["Package"], "versionInfo": facts["Version"],
        "supplier": f"Organization: {facts['Maintainer']}", "downloadLocation": "NOASSERTION", "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION", "licenseDeclared": "NOASSERTION", "copyrightText": "NOASSERTION",
        "comment": f"source package {facts['source:Package']} {facts['source:Version']}",
        "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}],
    }


def program_file(path):
    with open(path, "rb") as file:
        data = file.read()
    return {
        "SPDXID": spdx_id("File", os.path.basename(path)), "fileName": f"./usr/bin/{os.path.basename(path)}",
        "fileTypes": ["BINARY"], "licenseConcluded": "NOASSERTION", "copyrightText": "NOASSERTION",
        "checksums": [{"algorithm": "SHA1", "checksumValue": hashlib.sha1(data).hexdigest()},
                      {"algorithm": "SHA256", "checksumValue": hashlib.sha256(data).hexdigest()}],
    }


def document(given, packages):
    own = {
        "SPDXID": "SPDXRef-Package-self", "name": given.name, "versionInfo": given.version, "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False, "licenseConcluded": ASSAY_LICENSE, "licenseDeclared": ASSAY_LICENSE,
        "copyrightText": "NOASSERTION", "primaryPackagePurpose": "CONTAINER" if given.image else "APPLICATION",
    }
    if given.commit:
        own["sourceInfo"] = f"built from commit {given.commit}"
    files = [program_file(path) for path in given.programs]
    contents = json.dumps([own, files, packages], sort_keys=True)
    links = [("SPDXRef-DOCUMENT", "DESCRIBES", own["SPDXID"])]
    links += [(own["SPDXID"], "CONTAINS", file["SPDXID"]) for file in files]
    links += [(own["SPDXID"], "CONTAINS" if given.image else "DEPENDS_ON", package["SPDXID"]) for package in packages]
    return {
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": f"{given.name}-{given.version}",
        "documentNamespace": f"https://assay.invalid/spdx/{given.name}/{hashlib.sha256(contents.encode()).hexdigest()}",
        "creationInfo": {
            "created": datetime.datetime.fromtimestamp(given.created, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "creators": ["Tool: assay-sbom"]},
        "packages": [own, *packages], "files": files,
        "relationships": [{"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}
                          for one, kind, other in links],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--name", default="assay")
    parser.add_argument("--version", default="0")
    parser.add_argument("--commit", default="")
    parser.add_argument("--created", type=int, default=0, help="time of the document, seconds since 1970")
    parser.add_argument("--image", action="store_true", help="the libraries are inside what is described")
    parser.add_argument("--extra", action="append", default=[], help="another file of a package that goes along")
    parser.add_argument("--list", action="store_true", help="print the files of the libraries instead")
    parser.add_argument("programs", nargs="+")
    given = parser.parse_args()
    files = sorted({path for program in given.programs for path in libraries_of(program)})
    if given.list:
        print("\n".join(files))
        return
    names = packages_of([*files, *given.extra])
    json.dump(document(given, [debian_package(describe(name)) for name in names]), sys.stdout, indent=1, sort_keys=True)
    print()


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        print(f"sbom.py: {failure}", file=sys.stderr)
        sys.exit(3)
