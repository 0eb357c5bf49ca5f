# SPDX-License-Identifier: Apache-2.0
# Which Debian 12 packages Assay needs, and how to install them without waking any service.
# shellcheck disable=SC2034 # the lists are for the scripts that source this file
# Sourced by deploy/quickstart.sh and tests/run.sh; defines functions and lists, does nothing else.
# shellcheck shell=bash

# What a release build needs.
ASSAY_BUILD_PACKAGES=(
  bpftool cmake clang g++ git libarchive-dev libbpf-dev libboost1.81-dev libcap-ng-dev libcli11-dev
  libcurl4-openssl-dev libelf-dev libgrpc++-dev libipsec-mb-dev libprotobuf-dev libre2-dev
  libseccomp-dev libspdlog-dev libsqlite3-dev libssl-dev
  libyaml-cpp-dev ninja-build nlohmann-json3-dev pkgconf prometheus-cpp-dev protobuf-compiler
  protobuf-compiler-grpc zlib1g-dev
)

# What deploy/quickstart.sh needs to run what was built.
ASSAY_QUICKSTART_PACKAGES=(busybox-static ca-certificates curl debootstrap iproute2 procps)

# What tests/run.sh needs on top.
ASSAY_TEST_PACKAGES=(
  btrfs-progs bubblewrap buildah busybox-static ca-certificates catch2 ccache clang-format clang-tidy
  containerd crun curl debootstrap docker.io dpkg-dev e2fsprogs erofs-utils fish fsverity fuse-overlayfs
  golang-github-masterminds-sprig-dev golang-go golang-gopkg-yaml.v3-dev iproute2
  libarchive-tools libclang-rt-14-dev libfaketime libfsverity-dev lintian llvm-14 man-db mandoc openssl podman procps
  python3 python3-grpcio python3-hpack python3-hyperframe python3-jsonschema python3-protobuf python3-yaml
  rpm runc shellcheck skopeo sqlite3 systemd-container uidmap umoci xfsprogs xz-utils zsh zstd
)

# Programs that other sources than Debian often bring, whose packages then are in each other's way.
command -v kubectl >/dev/null || ASSAY_TEST_PACKAGES+=(kubernetes-client)
command -v node >/dev/null || ASSAY_TEST_PACKAGES+=(nodejs)
command -v npm >/dev/null || ASSAY_TEST_PACKAGES+=(npm)

# What the tests labelled kernel need on top of those.
ASSAY_KERNEL_TEST_PACKAGES=(cpio e2fsprogs kmod qemu-system-x86)

# Names, one a line, of those arguments that are not installed.
missing_packages() {
  local name
  for name in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || echo "$name"
  done
}

# Puts /usr/sbin/policy-rc.d back as it was before install_packages.
restore_policy() {
  if [ -e /usr/sbin/policy-rc.d.assay-saved ]; then
    mv -f /usr/sbin/policy-rc.d.assay-saved /usr/sbin/policy-rc.d
  else
    rm -f /usr/sbin/policy-rc.d
  fi
}

# Installs those arguments that are missing, and says which. Services that the packages bring stay
# off and running ones are left alone: while apt works, policy-rc.d answers 101 (not allowed) to
# every start and restart. Runs in a subshell so that its trap is its own. Returns apt's status.
install_packages() (
  mapfile -t missing < <(missing_packages "$@")
  if [ "${#missing[@]}" -eq 0 ]; then
    echo "packages: all $# are installed"
    return 0
  fi
  echo "packages to install: ${missing[*]}"
  if [ "$(id -u)" -ne 0 ]; then
    echo "error: installing packages needs root; run this as root, or install the packages above" >&2
    return 3
  fi
  # A saved file from an interrupted run is the true one: keep it.
  if [ -e /usr/sbin/policy-rc.d ] && [ ! -e /usr/sbin/policy-rc.d.assay-saved ]; then
    mv /usr/sbin/policy-rc.d /usr/sbin/policy-rc.d.assay-saved
  fi
  trap restore_policy EXIT
  trap 'exit 130' INT TERM HUP
  printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
  chmod 755 /usr/sbin/policy-rc.d
  export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 LC_ALL=C
  local -a apt=(apt-get -q -o Dpkg::Use-Pty=0 -o Acquire::Retries=3)
  if ! "${apt[@]}" update; then
    echo "error: apt-get update failed: check the network and /etc/apt/sources.list" >&2
    return 5
  fi
  if ! "${apt[@]}" install -y --no-install-recommends --no-upgrade "${missing[@]}"; then
    echo "error: apt-get install failed; its messages are above" >&2
    return 5
  fi
)
