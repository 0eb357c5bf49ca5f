// SPDX-License-Identifier: Apache-2.0
#include "tests/runtime/one_layer/ways.h"
#include "tests/support/command.h"

namespace assay::tests {
namespace {

// Makes the tar `$1` of the tree `$0`; run by sh in the tree.
Way written_by(std::string name, Words programs, const std::string& script, bool loses_xattrs) {
  Way made;
  made.name = std::move(name);
  programs.emplace_back("umoci");
  made.missing = needs_programs(std::move(programs));
  made.form = Form::kBottom;
  made.loses_xattrs = loses_xattrs;
  made.read = [script](const Subject& subject) {
    const TempFolder folder("tar");
    const std::string tar = folder / "layer.tar";
    const std::string image = (folder / "layout") + ":1";
    must_run({"sh", "-e", "-c", "cd \"$0\"; " + script, subject.tree(), tar});
    must_run({"umoci", "init", "--layout", folder / "layout"});
    must_run({"umoci", "new", "--image", image});
    must_run({"umoci", "raw", "add-layer", "--image", image, tar});
    return layers_of(folder / "layout");
  };
  return made;
}

}  // namespace

std::vector<Way> tar_ways() {
  const std::string gnu = "tar --numeric-owner -cf \"$1\" ";
  const std::string posix = gnu + "--format=posix --xattrs --xattrs-include='*' ";
  // Paths of all that is no folder, each with its NUL.
  const std::string no_folders = "find . ! -type d -print0 | ";
  return {
      written_by("GNU tar, PAX", {"tar"}, posix + ".", false),
      written_by("GNU tar, PAX 0.0 sparse files", {"tar"}, posix + "--sparse-version=0.0 -S .",
                 false),
      written_by("GNU tar, PAX 0.1 sparse files", {"tar"}, posix + "--sparse-version=0.1 -S .",
                 false),
      written_by("GNU tar, PAX 1.0 sparse files", {"tar"}, posix + "--sparse-version=1.0 -S .",
                 false),
      written_by("GNU tar, GNU format", {"tar"}, gnu + "--format=gnu .", true),
      written_by("GNU tar, GNU format with sparse files", {"tar"}, gnu + "--format=gnu -S .", true),
      written_by("GNU tar, old GNU format", {"tar"}, gnu + "--format=oldgnu .", true),
      written_by("GNU tar, no entry for any folder", {"tar"},
                 no_folders + posix + "--no-recursion --null -T -", false),
      written_by("GNU tar, names from the root", {"tar"},
                 posix + "-P --transform='s,^\\.,,;s,^$,/,' --no-wildcards --show-transformed .",
                 false),
      written_by("GNU tar, files that come twice", {"tar"},
                 "touch -d @1 ../older; " + posix +
                     "--transform='s,^older$,etc/os-release,' -C .. older; tar -C \"$0\" "
                     "--numeric-owner --format=posix --xattrs --xattrs-include='*' -rf \"$1\" .",
                 false),
      written_by("bsdtar, PAX", {"bsdtar"},
                 "bsdtar --numeric-owner --format pax --xattrs -cf \"$1\" .", false),
      written_by("bsdtar, GNU format", {"bsdtar"},
                 "bsdtar --numeric-owner --format gnutar -cf \"$1\" .", true),
      written_by("busybox tar", {"busybox"}, "busybox tar -cf \"$1\" .", true),
      written_by("busybox tar, no entry for any folder", {"busybox"},
                 no_folders + "xargs -0 busybox tar -cf \"$1\"", true),
  };
}

}  // namespace assay::tests
