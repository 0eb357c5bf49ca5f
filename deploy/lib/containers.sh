# SPDX-License-Identifier: Apache-2.0
# The three containers of deploy/quickstart.sh: with docker or podman where the node has one that
# works, else by hand (assay-starter). Sourced; uses $dir, $bin, say, start_program.
# shellcheck shell=bash disable=SC2154 # variables of the script that sources this

readonly container_prefix=assay-quickstart

# A tree of one static binary at $1; $2 makes it differ from other trees.
make_busybox_tree() {
  local name
  mkdir -p "$1"/{bin,etc,proc,dev,sys,tmp}
  cp "$(command -v busybox)" "$1/bin/busybox"
  for name in sh sleep true ls cat ps; do ln -sf busybox "$1/bin/$name"; done
  printf 'ID=%s\nPRETTY_NAME="%s"\n' "$2" "$2" >"$1/etc/os-release"
}

# The client with the options that its runs need; $1 is docker, podman or podman-runc.
client() {
  local kind=$1
  shift
  case $kind in
    docker) docker "$@" ;;
    podman) podman "$@" ;;
    # For hosts with a hybrid cgroup layout, where crun refuses to work.
    podman-runc) podman --runtime runc --cgroup-manager cgroupfs "$@" ;;
  esac
}

# run_container KIND NAME IMAGE COMMAND…
run_container() {
  local kind=$1 name=$2
  shift 2
  client "$kind" run --detach --name "$container_prefix-$name" --network none \
    --ulimit nofile=1024:1024 --ulimit nproc=1000:1000 "$@"
}

# import_tree KIND TREE IMAGE: a directory as an image of one layer.
import_tree() {
  tar -C "$2" --numeric-owner -c . | client "$1" import - "$3" >>"$dir/log/containers.log" 2>&1
}

# Whether a runtime of kind $1 runs a container here, tried with a throw-away one.
works() {
  local image=localhost/$container_prefix-trial-$1:1
  command -v "${1%-runc}" >/dev/null && timeout 20 "${1%-runc}" info >/dev/null 2>&1 || return 1
  echo "$1 $image" >>"$dir/run/images"
  echo "$1 trial-$1" >>"$dir/run/containers"
  import_tree "$1" "$dir/layers/unknown" "$image" &&
    run_container "$1" "trial-$1" "$image" /bin/true >>"$dir/log/containers.log" 2>&1
}

# Sets runtime: docker, podman, podman-runc, or "" for by hand.
find_runtime() {
  for runtime in docker podman podman-runc; do
    ! works "$runtime" || return 0
  done
  runtime=
}

# Loads $archive with the runtime and prints its reference; fails when the runtime cannot read it. An
# image that was there before is not noted for removal.
load_archive() {
  local before reference id
  before=$(client "$runtime" images --quiet --no-trunc)
  reference=$(client "$runtime" load --input "$archive" 2>>"$dir/log/containers.log" |
    sed -n 's/^Loaded image[^:]*: //p' | tail -n 1)
  [ -n "$reference" ] || return 1
  id=$(client "$runtime" image inspect --format '{{.Id}}' "$reference")
  [[ $before == *"${id#sha256:}"* ]] || echo "$runtime $reference" >>"$dir/run/images"
  echo "$reference"
}

# start_container NAME LAYERS… -- COMMAND…: layers top first. A runtime gets the only layer as an
# image, or loads $archive; where neither works the container starts by hand.
start_container() {
  local name=$1 layers=() image=
  shift
  while [ "$1" != -- ]; do layers+=("$1") && shift; done
  shift
  if [ -n "$runtime" ] && [ "$name" = approved ] && [ -n "$archive" ]; then
    image=$(load_archive) || echo "$name: $runtime cannot load $archive; by hand then"
  elif [ -n "$runtime" ]; then
    image=localhost/$container_prefix-$name:1
    echo "$runtime $image" >>"$dir/run/images"
    import_tree "$runtime" "${layers[0]}" "$image"
  fi
  if [ -z "$image" ]; then
    start_program "container-$name" "$bin/assay-starter" --name "$name" \
      "${layers[@]/#/--lower=}" -- "$@"
    return
  fi
  echo "$runtime $name" >>"$dir/run/containers"
  run_container "$runtime" "$name" "$image" "$@" >/dev/null
}

# Removes what the functions above made with a runtime; programs by hand are stopped elsewhere.
remove_containers() {
  local kind name
  if [ -e "$dir/run/containers" ]; then
    while read -r kind name; do
      client "$kind" rm --force "$container_prefix-$name" >/dev/null 2>&1 || true
    done <"$dir/run/containers"
  fi
  if [ -e "$dir/run/images" ]; then
    while read -r kind name; do
      client "$kind" rmi --force "$name" >/dev/null 2>&1 || true
    done <"$dir/run/images"
  fi
  rm -f "$dir/run/containers" "$dir/run/images"
}
