# SPDX-License-Identifier: Apache-2.0
"""The real bases of the containment corpus, each a tar that is made once per machine.

Three Debian suites by debootstrap (tests/support/base.sh); of each the version that apt makes of it
with today's security updates (N, while what debootstrap gives is N-1); of bookworm also the oldest
packages that the mirrors still carry (N-2); a base on a base; distroless-like ones from a few .deb
files; a scratch-like one of a single static program. Needs root and, once, the mirrors of this
machine's apt.
"""
import contextlib
import fcntl
import os
import pathlib
import shutil
import subprocess
import tempfile

SUPPORT = pathlib.Path(__file__).resolve().parent.parent / "support"
SUITES = {"debian:11": "bullseye", "debian:12": "bookworm", "debian:13": "trixie"}
DISTROLESS = ("base-files", "libc6", "libssl3", "netbase", "tzdata")
APT = ("apt-get", "-q", "-y", "-o", "Dpkg::Options::=--force-confnew", "--allow-downgrades",
       "--no-install-recommends")
# What differs from run to run although the packages are the same (as tests/support/base.sh).
VOLATILE = ("var/cache/apt/*", "var/lib/apt/lists/*", "var/log/*", "var/cache/ldconfig/*",
            "etc/machine-id", "etc/hostname", "etc/resolv.conf", "usr/sbin/policy-rc.d")


def run(*argv, **options):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, argv))}: {done.stdout[-2000:]}")
    return done.stdout


def suite_tar(suite):
    """What debootstrap makes of a suite."""
    done = subprocess.run([SUPPORT / "base.sh", suite], check=True, stdout=subprocess.PIPE,
                          text=True)
    return pathlib.Path(done.stdout.strip())


def mirrors():
    """(URL of Debian, URL of its security updates), as this machine's apt has them."""
    sites = subprocess.run(["apt-get", "indextargets", "--format", "$(SITE) $(CODENAME)"],
                           check=True, stdout=subprocess.PIPE, text=True).stdout.split("\n")
    found = {("security" if "security" in line else "main"): line.split()[0]
             for line in sorted(set(sites)) if "debian" in line and "bookworm" in line}
    return found["main"], found["security"]


class Tree:
    """A base unpacked in a folder of its own, with apt inside it."""

    def __init__(self, root, suite):
        self.root, self.suite = root, suite

    def write(self, name, text, mode=0o644):
        path = self.root / name
        path.write_text(text)
        path.chmod(mode)

    def chroot(self, *argv):
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive",
                       "LC_ALL": "C"}
        return run("chroot", self.root, *argv, env=environment)

    def add_sources(self, has_updates=True):
        main, security = mirrors()
        lines = [f"deb {main} {self.suite} main",
                 f"deb {security} {self.suite}-security main"]
        if has_updates and self.suite == "bookworm":
            lines.append(f"deb {main} {self.suite}-updates main")
        self.write("etc/apt/sources.list", "\n".join(lines) + "\n")
        shutil.copy("/etc/resolv.conf", self.root / "etc/resolv.conf")
        self.write("usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
        self.chroot("apt-get", "-q", "update")

    def packages(self):
        """{package: [versions, oldest first]} of what is installed."""
        names = self.chroot("dpkg-query", "-W", "-f", "${Package}\n").split()
        table = self.chroot("apt-cache", "madison", *names)
        versions = {}
        for line in table.splitlines():
            fields = [field.strip() for field in line.split("|")]
            if len(fields) == 3 and "Packages" in fields[2]:
                versions.setdefault(fields[0], []).append(fields[1])
        return {name: list(reversed(dict.fromkeys(found))) for name, found in versions.items()}

    def downgrade(self):
        """To the oldest version of each package that the mirrors carry, as far as apt can."""
        for name, found in sorted(self.packages().items()):
            if len(found) < 2:
                continue
            with contextlib.suppress(RuntimeError):  # it would take others away
                self.chroot(*APT, "--no-remove", "install", f"{name}={found[0]}")

    def clean(self):
        self.chroot("apt-get", "clean")
        for pattern in VOLATILE:
            for path in self.root.glob(pattern):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def pack(self, archive):
        run("tar", "-C", self.root, "--sort=name", "--numeric-owner", "--format=gnu",
            "-cf", archive, ".")


def upgraded(tree):
    tree.add_sources()
    tree.chroot(*APT, "dist-upgrade")


def downgraded(tree):
    tree.add_sources()
    tree.downgrade()


def with_packages(*packages):
    """A base on a base."""
    def change(tree):
        tree.add_sources()
        tree.chroot(*APT, "install", *packages)
    return change


def upgraded_with(*packages):
    def change(tree):
        upgraded(tree)
        tree.chroot(*APT, "install", *packages)
    return change


def downgraded_with(*packages):
    def change(tree):
        with_packages(*packages)(tree)
        tree.downgrade()
    return change


def partly_upgraded(tree):
    """One library alone."""
    tree.add_sources()
    tree.chroot(*APT, "install", "libssl3", "tzdata")


def distroless(tree):
    """What the packages hold, and what they are in status.d; nothing else of the suite."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=tree.root.parent))
    main_root, tree.root = tree.root, folder
    for package in DISTROLESS:
        for file in sorted((main_root / "debs").glob(f"{package}_*.deb")):
            run("dpkg-deb", "-x", file, folder)
            record = folder / "var/lib/dpkg/status.d" / package
            record.parent.mkdir(parents=True, exist_ok=True)
            record.write_text(run("dpkg-deb", "-f", file))
            record.chmod(0o644)
    folder.chmod(0o755)


def built_again(tree):
    """Another run of debootstrap."""
    shutil.rmtree(tree.root)
    run("debootstrap", "--variant=minbase", tree.suite, tree.root)


def built_again_and_upgraded(tree):
    built_again(tree)
    upgraded(tree)


def fetch(tree, updates):
    """The packages of distroless(), with or without the updates."""
    tree.add_sources(has_updates=updates)
    if not updates:
        text = (tree.root / "etc/apt/sources.list").read_text().splitlines()[0]
        tree.write("etc/apt/sources.list", text + "\n")
        tree.chroot("apt-get", "-q", "update")
    (tree.root / "debs").mkdir()
    tree.chroot("sh", "-c", "cd /debs && apt-get -q download " + " ".join(DISTROLESS))


def distroless_released(tree):
    fetch(tree, updates=False)
    distroless(tree)


def distroless_updated(tree):
    fetch(tree, updates=True)
    distroless(tree)


def scratch(tree):
    """One static program under its three hundred names."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=tree.root.parent))
    (folder / "bin").mkdir()
    shutil.copy("/bin/busybox", folder / "bin/busybox")
    listed = subprocess.run(["/bin/busybox", "--list"], capture_output=True, text=True, check=True)
    for name in set(listed.stdout.split()) - {"busybox"}:
        (folder / "bin" / name).symlink_to("busybox")
    folder.chmod(0o755)
    tree.root = folder


# name: (suite, what is done to it). `suite` alone is what debootstrap gives.
BASES = {
    "debian:11-1": ("bullseye", None), "debian:11-2": ("bullseye", upgraded),
    "debian:12-0": ("bookworm", downgraded), "debian:12-1": ("bookworm", None),
    "debian:12-2": ("bookworm", upgraded),
    "debian:13-0": ("trixie", downgraded), "debian:13-1": ("trixie", None),
    "python:12-1": ("bookworm", with_packages("python3-minimal")),
    "distroless:12-1": ("bookworm", distroless_released),
    "distroless:12-2": ("bookworm", distroless_updated),
    "busybox:12-1": ("bookworm", scratch),
}
# Another catalog, which nothing was tuned with; two of its bases are as above, to lie below others.
HELD_OUT = {
    "debian:12-1": ("bookworm", None), "debian:13-1": ("trixie", None), "debian:14-1": ("sid", None),
    "php:12-1": ("bookworm", with_packages("php-cli")),
    "php:12-2": ("bookworm", upgraded_with("php-cli")),
    "ruby:11-1": ("bullseye", with_packages("ruby")),
    "nginx:13-1": ("trixie", with_packages("nginx-light")),
    "tools:13-0": ("trixie", downgraded_with("curl", "ca-certificates", "jq")),
    "tools:13-1": ("trixie", with_packages("curl", "ca-certificates", "jq")),
}
# Of images only, never in the catalog.
OTHERS = {"sid": ("sid", None), "12-partly": ("bookworm", partly_upgraded),
          "12-again": ("bookworm", built_again),
          "12-again-upgraded": ("bookworm", built_again_and_upgraded)}


def make(name):
    """Path of the tar of a base or of one of OTHERS; made on first use."""
    suite, change = {**BASES, **HELD_OUT, **OTHERS}[name]
    start = suite_tar(suite)
    if change is None:
        return start
    cache = start.parent / "corpus"
    cache.mkdir(exist_ok=True)
    archive = cache / f"{name.replace(':', '-')}.tar"
    with open(archive.with_suffix(".lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if archive.exists():
            return archive
        with tempfile.TemporaryDirectory(dir=cache) as work:
            root = pathlib.Path(work) / "root"
            root.mkdir()
            run("tar", "-C", root, "--numeric-owner", "-xpf", start)
            tree = Tree(root, suite)
            change(tree)
            if tree.root == root:
                tree.clean()
            part = pathlib.Path(work) / "part.tar"
            tree.pack(part)
            os.replace(part, archive)
    return archive


if __name__ == "__main__":
    for each in {**BASES, **HELD_OUT, **OTHERS}:
        print(each, make(each), flush=True)
