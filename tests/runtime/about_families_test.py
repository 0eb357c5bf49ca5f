#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What images of each family that golden bases come from say of themselves.

A row is either real (made by the family's own tools) or a tree in the family's documented layout;
it says which, and what it was made from. Each is read as a directory and as an archive.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import images  # noqa: E402

ASSAY = os.path.join(os.environ["ASSAY_BIN"], "assay")
TIMEOUT_S = 300
# What distroless's build puts into an image of base-debian12, as far as its files say what it is.
DISTROLESS_PACKAGES = ("base-files", "netbase", "tzdata")

# /usr/lib/os-release of Ubuntu's base-files 13ubuntu10, of which /etc/os-release is a link.
UBUNTU = """PRETTY_NAME="Ubuntu 24.04 LTS"
NAME="Ubuntu"
VERSION_ID="24.04"
VERSION="24.04 LTS (Noble Numbat)"
VERSION_CODENAME=noble
ID=ubuntu
ID_LIKE=debian
UBUNTU_CODENAME=noble
LOGO=ubuntu-logo
"""
ALPINE = """NAME="Alpine Linux"
ID=alpine
VERSION_ID=3.20.3
PRETTY_NAME="Alpine Linux v3.20"
HOME_URL="https://alpinelinux.org/"
"""
DISTROLESS = """PRETTY_NAME="Distroless"
NAME="Debian GNU/Linux"
ID="debian"
VERSION_ID="12"
VERSION="Debian GNU/Linux 12 (bookworm)"
"""
RHEL9 = """NAME="Red Hat Enterprise Linux"
VERSION="9.4 (Plow)"
ID="rhel"
ID_LIKE="fedora"
VERSION_ID="9.4"
PLATFORM_ID="platform:el9"
PRETTY_NAME="Red Hat Enterprise Linux 9.4 (Plow)"
"""
RHEL8 = RHEL9.replace("9.4 (Plow)", "8.10 (Ootpa)").replace('"9.4"', '"8.10"')
SUSE = """NAME="SLES"
VERSION="15-SP6"
VERSION_ID="15.6"
PRETTY_NAME="SUSE Linux Enterprise Server 15 SP6"
ID="sles"
ID_LIKE="suse"
"""


def run(*words, **options):
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=TIMEOUT_S,
                          **options).stdout


def write(root, name, text):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="ascii")


def write_os_release(root, text):
    """The file in usr/lib and the link in etc, as all of them have it today."""
    write(root, "usr/lib/os-release", text)
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc/os-release").symlink_to("../usr/lib/os-release")


class Rpms:
    """A few packages built here, to fill rpm's own databases with."""

    def __init__(self, folder, count):
        folder.mkdir()
        spec = ["Name: base", "Epoch: 1", "Version: 9.4", "Release: 0.4.el9", "Summary: x",
                "License: MIT", "BuildArch: noarch", "%description", "x", "%files"]
        for number in range(count - 1):
            spec += [f"%package part{number}", "Summary: x", f"%description part{number}", "x",
                     f"%files part{number}"]
        write(folder, "base.spec", "\n".join(spec) + "\n")
        run("rpmbuild", "--quiet", "-bb", str(folder / "base.spec"),
            "--define", f"_topdir {folder}", "--define", "_build_id_links none")
        self.files = sorted(str(path) for path in folder.rglob("*.rpm"))

    @staticmethod
    def rpm(root, *words):
        return run("rpm", "--root", str(root), "--define", "_dbpath /var/lib/rpm", *words)

    def fill(self, root, count):
        """Puts the first `count` packages into the rpmdb of `root`, with rpm itself."""
        (root / "var/lib/rpm").mkdir(parents=True)
        self.rpm(root, "--justdb", "--nodeps", "-i", *self.files[:count])
        listed = self.rpm(root, "-qa").split()
        assert len(listed) == count, listed


class Families(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            print("SKIPPED: unpacking a base needs root")
            sys.exit(77)
        folder = tempfile.TemporaryDirectory(prefix="assay-families-")
        cls.addClassCleanup(folder.cleanup)
        cls.root = pathlib.Path(folder.name)
        cls.rpms = Rpms(cls.root / "rpms", 23)

    def read(self, source):
        done = run(ASSAY, "fingerprint", str(source), "-o", "json")
        return json.loads(done)

    def archive_of(self, name, trees):
        tars = []
        for number, tree in enumerate(trees):
            tars.append(self.root / f"{name}.{number}.tar")
            run("tar", "-C", str(tree), "--sort=name", "--numeric-owner", "-cf", str(tars[-1]), ".")
        archive = images.image_archive(self.root / f"{name}.tar", f"{name}:1", tars)
        for tar in tars:
            tar.unlink()
        return archive

    def check(self, name, made_from, trees, distribution, packages):
        """`trees`: one per layer, bottom first. `distribution`: (id, version, name) or None.
        `packages`: (manager, format, count) or None; a count of None means not read."""
        print(f"{name}: {made_from}")
        sources = [self.archive_of(name, trees)]
        if len(trees) == 1:
            sources.append(trees[0])
        for source in sources:
            with self.subTest(f"{name} from {source.name}"):
                found = self.read(source)
                said = found["claimed_distribution"]
                self.assertEqual(said and (said["id"], said["version"], said["name"]), distribution)
                self.assertEqual(found["claimed_distribution_gap"], "")
                databases = [(one["manager"], one["format"], one["packages"])
                             for one in found["claimed_packages"]]
                self.assertEqual(databases, [packages] if packages else [])
                for database in found["claimed_packages"]:
                    self.assertEqual(len(database["list"]), database["packages"] or 0)
                    self.assertEqual(database["gap"] != "", database["packages"] is None)

    def tree(self, name):
        tree = self.root / name
        tree.mkdir()
        return tree

    def debian(self, name):
        tree = self.tree(name)
        run("tar", "-C", str(tree), "-xf", str(images.debian_base()))
        count = len(run("dpkg-query", f"--admindir={tree}/var/lib/dpkg", "-W").splitlines())
        self.assertGreater(count, 50)
        return tree, count

    def test_debian(self):
        tree, count = self.debian("debian")
        self.check("debian", "real, by debootstrap --variant=minbase", [tree],
                   ("debian", "12", "Debian GNU/Linux 12 (bookworm)"), ("dpkg", "status", count))

    def test_debian_slim(self):
        tree, count = self.debian("debian-slim")
        for folder in ("doc", "man", "locale", "info", "groff", "lintian", "linda"):
            shutil.rmtree(tree / "usr/share" / folder, ignore_errors=True)
        self.check("debian-slim", "real, debootstrap's base without what debuerreotype's slim drops",
                   [tree], ("debian", "12", "Debian GNU/Linux 12 (bookworm)"),
                   ("dpkg", "status", count))

    def test_ubuntu(self):
        tree = self.tree("ubuntu")
        write_os_release(tree, UBUNTU)
        write(tree, "var/lib/dpkg/status", "".join(
            f"Package: {package}\nStatus: {status}\nArchitecture: amd64\nVersion: {version}\n"
            f"Description: a package\n of Ubuntu\n\n"
            for package, status, version in (
                ("base-files", "install ok installed", "13ubuntu10"),
                ("libc6", "install ok installed", "2.39-0ubuntu8"),
                ("bash", "hold ok installed", "5.2.21-2ubuntu4"),
                ("removed", "deinstall ok config-files", "1"))))
        self.check("ubuntu", "a tree in its layout (base-files 13ubuntu10; dpkg's status format)",
                   [tree], ("ubuntu", "24.04", "Ubuntu 24.04 LTS"), ("dpkg", "status", 3))

    def test_alpine(self):
        tree = self.tree("alpine")
        write_os_release(tree, ALPINE)
        write(tree, "lib/apk/db/installed", "".join(
            f"C:Q1{package}=\nP:{package}\nV:{version}\nA:x86_64\nS:1\nI:2\nT:text\nL:MIT\n"
            f"F:usr\nF:usr/bin\nR:{package}\na:0:0:755\n\n"
            for package, version in (("alpine-baselayout", "3.6.5-r0"), ("musl", "1.2.5-r0"),
                                     ("busybox", "1.36.1-r29"), ("apk-tools", "2.14.4-r0"))))
        self.check("alpine", "a tree in its layout (apk-tools' installed; Debian has no apk)", [tree],
                   ("alpine", "3.20.3", "Alpine Linux v3.20"), ("apk", "installed", 4))

    def test_distroless(self):
        run("apt-get", "download", "-q", *DISTROLESS_PACKAGES, cwd=self.root)
        layers = []
        for package in DISTROLESS_PACKAGES:
            tree = self.tree(f"distroless-{package}")
            (deb,) = self.root.glob(f"{package}_*.deb")
            run("dpkg-deb", "-x", str(deb), str(tree))
            write(tree, f"var/lib/dpkg/status.d/{package}", run("dpkg-deb", "-f", str(deb)))
            write(tree, f"var/lib/dpkg/status.d/{package}.md5sums", "0  a\n")
            if package == "base-files":
                (tree / "usr/lib/os-release").write_text(DISTROLESS, encoding="ascii")
            layers.append(tree)
        self.check("distroless", "real Debian packages in its layout, a layer each", layers,
                   ("debian", "12", "Distroless"), ("dpkg", "status.d", len(DISTROLESS_PACKAGES)))

    def test_ubi_minimal(self):
        tree = self.tree("ubi-minimal")
        write_os_release(tree, RHEL9)
        self.rpms.fill(tree, 23)
        self.check("ubi-minimal", "a tree in its layout with an rpmdb.sqlite filled by rpm itself",
                   [tree], ("rhel", "9.4", "Red Hat Enterprise Linux 9.4 (Plow)"),
                   ("rpm", "sqlite", 23))

    def test_ubi_micro(self):
        tree = self.tree("ubi-micro")
        write_os_release(tree, RHEL9)
        self.rpms.fill(tree, 5)
        for name in (".rpm.lock", "rpmdb.sqlite-shm", "rpmdb.sqlite-wal"):
            (tree / "var/lib/rpm" / name).unlink(missing_ok=True)
        self.check("ubi-micro", "a tree in its layout, without rpm, with an rpmdb filled by rpm",
                   [tree], ("rhel", "9.4", "Red Hat Enterprise Linux 9.4 (Plow)"),
                   ("rpm", "sqlite", 5))

    def test_rpm_databases_that_are_not_read(self):
        ubi8 = self.tree("ubi8-minimal")
        write_os_release(ubi8, RHEL8)
        write(ubi8, "var/lib/rpm/Packages", "a Berkeley DB hash")
        self.check("ubi8-minimal", "a tree in its layout, with rpm's database before 4.16", [ubi8],
                   ("rhel", "8.10", "Red Hat Enterprise Linux 8.10 (Ootpa)"), ("rpm", "bdb", None))
        bci = self.tree("bci")
        write_os_release(bci, SUSE)
        write(bci, "usr/lib/sysimage/rpm/Packages.db", "RpmP")
        (bci / "var/lib").mkdir(parents=True)
        (bci / "var/lib/rpm").symlink_to("../../usr/lib/sysimage/rpm")
        self.check("bci", "a tree in its layout, with rpm's ndb", [bci],
                   ("sles", "15.6", "SUSE Linux Enterprise Server 15 SP6"), ("rpm", "ndb", None))

    def test_scratch(self):
        tree = self.tree("scratch")
        shutil.copy(images.BUSYBOX, tree / "app")
        self.check("scratch", "real, one static binary", [tree], None, None)

    def test_an_application_on_a_base(self):
        base, count = self.debian("app-base")
        status = (base / "var/lib/dpkg/status").read_text(encoding="utf-8")
        app = self.tree("app")
        write(app, "app/main", "x")
        (app / "var/lib/dpkg").mkdir(parents=True)
        (app / "var/lib/dpkg/status").write_text(
            status + "\nPackage: curl\nStatus: install ok installed\nVersion: 1\n",
            encoding="utf-8")
        self.check("application", "the Debian base and a layer that installs a package", [base, app],
                   ("debian", "12", "Debian GNU/Linux 12 (bookworm)"),
                   ("dpkg", "status", count + 1))


if __name__ == "__main__":
    unittest.main(verbosity=2)
