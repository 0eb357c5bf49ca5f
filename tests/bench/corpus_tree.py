# SPDX-License-Identifier: Apache-2.0
"""Trees of files that are changed in memory and written as images: flattened ones without a container."""
import copy
import io
import pathlib
import random
import sys
import tarfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import images  # noqa: E402  after the path is set

TIME = 1_750_000_000
SLIM = ("usr/share/doc/", "usr/share/man/", "usr/share/locale/", "usr/share/info/",
        "usr/share/lintian/")


class Tree:
    """{name: (TarInfo, content)}; the content of a file is bytes, or where it lies in a tar."""

    def __init__(self, members=None):
        self.members = members or {}

    @classmethod
    def load(cls, archive):
        """A root file system. Hard links become files: they are the same to a file set."""
        tree, slices = cls(), {}
        with tarfile.open(archive) as tar:
            for info in tar:
                info.name = info.name.removeprefix("./")
                if info.islnk():
                    target, content = slices[info.linkname.removeprefix("./")]
                    info.type, info.size = tarfile.REGTYPE, target.size
                elif info.isreg():
                    content = slices[info.name] = (info, (archive, info.offset_data, info.size))
                    content = content[1]
                else:
                    content = None
                if info.name not in ("", "."):
                    tree.members[info.name] = (info, content)
        return tree

    def copy(self):
        return Tree(dict(self.members))

    def add(self, name, content=b"", **fields):
        info = tarfile.TarInfo(name)
        info.mode, info.mtime, info.size = 0o644, TIME, len(content)
        for field, value in fields.items():
            setattr(info, field, value)
        self.members[name] = (info, content)

    def files(self):
        """Names of the files that hold something."""
        return sorted(name for name, (info, _) in self.members.items()
                      if info.isreg() and info.size > 0)

    def overwrite(self, names, seed, keeps_size=False):
        """Other bytes under the same names; owner, mode and time stay."""
        other = random.Random(seed)
        for name in names:
            info = copy.copy(self.members[name][0])
            info.size = info.size if keeps_size else 1 + info.size % 4000
            self.members[name] = (info, other.randbytes(info.size))
        return self

    def overwritten(self, share, seed):
        names = self.files()
        picked = random.Random(seed).sample(names, round(len(names) * share))
        return self.copy().overwrite(picked, seed)

    def only(self, keep):
        return Tree({name: member for name, member in self.members.items() if keep(name)})

    def with_info(self, change):
        """`change` is given a copy of each entry."""
        tree = Tree()
        for name, (info, content) in self.members.items():
            info = copy.copy(info)
            change(info)
            tree.members[info.name] = (info, content)
        return tree

    def write(self, path):
        """A layer tar."""
        sources = {}
        with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
            for info, content in self.members.values():
                if isinstance(content, tuple):
                    archive, offset, _ = content
                    if archive not in sources:
                        sources[archive] = open(archive, "rb")
                    sources[archive].seek(offset)
                    tar.addfile(info, sources[archive])
                else:
                    tar.addfile(info, io.BytesIO(content) if content else None)
        for file in sources.values():
            file.close()

    def write_image(self, path):
        """An image of this one layer, as an archive."""
        part = pathlib.Path(f"{path}.layer")
        self.write(part)
        images.image_archive(path, "corpus:1", [part])
        part.unlink()


def with_application(tree, seed, files=300):
    """What an application adds: its own files, and a user."""
    tree, made = tree.copy(), random.Random(seed)
    for number in range(files):
        tree.add(f"app/lib/module{number}.py", made.randbytes(made.randrange(20, 20_000)))
    if "etc/passwd" in tree.members:
        for name in ("etc/passwd", "etc/group", "etc/shadow", "etc/gshadow"):
            tree.overwrite([name] if name in tree.members else [], seed)
    return tree


def exported(tree, seed):
    """What `docker export` of a container that ran shows: what runtime and program left behind."""
    tree = with_application(tree, seed)
    for name in ("etc/hostname", "etc/hosts", "etc/resolv.conf"):
        tree.add(name, b"127.0.0.1 localhost\n")
    tree.add(".dockerenv")
    for name in ("var/log/app.log", "tmp/session", "root/.bash_history", "run/app.pid",
                 "var/cache/ldconfig/aux-cache"):
        tree.add(name, f"{seed} {name}\n".encode())
    return tree


def copied(tree, seed):
    """`COPY --from=base / /` of a builder that gives everything to root and drops set-id bits."""
    def plain(info):
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        info.mode &= 0o1777 if info.isdir() else 0o777
    return with_application(tree.with_info(plain), seed)


def rebuilt(tree, seed):
    """The same packages on another day."""
    def later(info):
        info.mtime = TIME + seed
    tree = tree.with_info(later)
    for name in ("etc/shadow", "etc/machine-id", "var/cache/debconf/config.dat",
                 "var/lib/dpkg/status-old"):
        tree.overwrite([name] if name in tree.members else [], seed)
    return tree


def usr_only(tree, _seed):
    return tree.only(lambda name: name == "usr" or name.startswith("usr/"))


def slimmed(tree, seed):
    """Without manuals, documents and translations, as slim images are made."""
    return with_application(tree.only(lambda name: not name.startswith(SLIM)), seed)


def below_folder(tree, _seed):
    def moved(info):
        info.name = f"opt/rootfs/{info.name}"
    return tree.with_info(moved)


def owned_by_user(tree, _seed):
    def owned(info):
        info.uid = info.gid = 1000
        info.uname = info.gname = ""
    return tree.with_info(owned)


def among_foreign(tree, seed, files=60_000):
    tree, made = tree.copy(), random.Random(seed)
    for number in range(files):
        tree.add(f"srv/{number % 97}/{number}", made.randbytes(48))
    return tree


def same_paths(tree, seed):
    """Other bytes in every file; sizes and times as they were."""
    return tree.copy().overwrite(tree.files(), seed, keeps_size=True)


def random_files(seed, files=4000):
    tree, made = Tree(), random.Random(seed)
    for number in range(files):
        tree.add(f"usr/lib/x86_64-linux-gnu/lib{number}.so", made.randbytes(made.randrange(1, 9000)))
    return tree
