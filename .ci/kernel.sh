#!/usr/bin/env bash
# The tests of the engine and of scopes on other kernels and on another processor: built here as static programs, run
# by a kernel of Debian's in qemu-system, without KVM. What is fetched lies in a folder outside of the checkout and is
# used again. For Debian; root, unless all packages are there.
#   bash .ci/kernel.sh test SUITE ARCH     builds the tests and runs those of tests_for
#   bash .ci/kernel.sh fetch SUITE ARCH    only gets what that takes
#   bash .ci/kernel.sh boot SUITE ARCH PROGRAM ARGS...   runs one program of the build, as `engine -- rungs`
# SUITE ARCH: bullseye amd64 (Linux 5.10), bookworm amd64 (6.1), bookworm arm64 (6.1)
#
#   HERDER_CI_CACHE       that folder (${XDG_CACHE_HOME:-$HOME/.cache}/herder-ci)
#   HERDER_KERNEL_TARGET  where cargo builds (a folder in there, by the compiler's version)
set -euo pipefail

# What is in the folders: another number makes them anew.
readonly REVISION=2
# The guests are emulated, on a machine that may have other work: a promise of a second is one of so many there.
readonly SLOWER=20
# Seconds.
readonly FETCH_LIMIT=240 BUILD_LIMIT=900 GUEST_LIMIT=480 CPUS=2 MEMORY=1024

cd "$(dirname "${BASH_SOURCE[0]}")/.."
cache=${HERDER_CI_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/herder-ci}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
  echo "kernel: $*" >&2
  exit 1
}

# Which tests run in a guest: those whose outcome depends on the kernel or the processor, and few of them, as each takes
# tens of times longer there. One line each: a test program, then what it is to run.
#
# The engine's: births, exits and what a child finds (basics, rungs, status, child_state: the system calls and the
# assembly), scopes and their limits (scope_*: cgroup.kill is missing in 5.10, all controllers are there), and owners
# that end (keeper_end: how groups and cgroups are signalled depends on the kernel).
# Not: what is repeated a hundred times, or exhausts something (repeats, shortage, stalled, chains and bombs); what
# simulates kernels (sandbox, HERDER_DISABLE), as these are real ones; what never asks the kernel anything new.
# The library's: what a limit comes to, by then in the report. The rest of it does not know the kernel; for a processor
# other than x86-64 it is not built, as it has no code of its own for any.
tests_for() {
  # A name stands for all that it is a part of: `basics::` for `scope_basics::` too.
  local engine=(engine basics:: rungs:: status:: child_state:: scope_limits:: keeper_end::a_child_of_another_user
    --skip a_pool_is_bounded --skip long_orders_and_many --skip a_leaf_is_never_used_again_while_somebody)
  case $triple in
    # The kernel is that of kernel_6_1, and slower still: what depends on the processor.
    aarch64-*) echo "${engine[*]}" ;;
    *)
      echo "${engine[*]} scope_users:: scope_escapes::a_member keeper_end::an_owner_that_ends_itself" \
        "keeper_end::cgroups_in_depth"
      echo "it limits:: --skip join_limits"
      ;;
  esac
}

apt() {
  DEBIAN_FRONTEND=noninteractive timeout --kill-after=10 "$FETCH_LIMIT" \
    "$@" -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3 -o Acquire::http::Timeout=30 -q </dev/null
}

install() {
  local package missing=()
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || fail "install these packages: ${missing[*]}"
  apt apt-get update >/dev/null || fail "the lists of packages can't be had"
  apt apt-get install -y --no-install-recommends "${missing[@]}" || fail "these packages can't be had: ${missing[*]}"
}

# The mirror that this machine's own sources name.
mirror() {
  local found
  found=$(sed -nE 's/^URIs: *([^ ]+).*/\1/p; s/^deb (\[[^]]*\] )?([^ ]+) .*/\2/p' \
    /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null | head -n 1)
  echo "${found:-http://deb.debian.org/debian}"
}

# Gets the kernel of a suite, and what the guest is made of, past this machine's own lists of packages: busybox, and in
# its place a shell and tools that do as the tests expect (its own go by their names, and know fewer options).
fetch_kernel() {
  local suite=$1 arch=$2 folder=$3 apt=$work/apt keys=/usr/share/keyrings/debian-archive-keyring.gpg image options
  [ ! -e "$folder/ready" ] || return 0
  rm -rf "$folder"
  mkdir -p "$folder" "$apt/lists/partial" "$apt/archives/partial"
  echo "deb [signed-by=$keys] $(mirror) $suite main" >"$apt/list"
  : >"$apt/status"
  options=(-o "APT::Architecture=$arch" -o "APT::Architectures=$arch" -o "Dir::Etc::SourceList=$apt/list"
    -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$apt/lists" -o "Dir::State::Status=$apt/status"
    -o "Dir::Cache=$apt" -o APT::Sandbox::User=root)
  apt apt-get "${options[@]}" update >/dev/null || fail "the list of packages of $suite can't be had from $(mirror)"
  image=$(apt apt-cache "${options[@]}" show --no-all-versions "linux-image-cloud-$arch" |
    sed -n 's/^Depends: \(linux-image-[^ ,]*\).*/\1/p' | head -n 1)
  [ -n "$image" ] || fail "$suite has no kernel for $arch"
  (cd "$apt" && apt apt-get "${options[@]}" download \
    "$image" busybox-static coreutils dash libc6 libcap-ng0 util-linux >/dev/null) ||
    fail "$image, or what goes with it, can't be had from $(mirror)"
  for package in "$apt"/*.deb; do dpkg-deb -x "$package" "$apt/root"; done
  cp "$apt"/root/boot/vmlinuz-* "$folder/vmlinuz"
  mkdir "$folder/root"
  # Libraries are links to each other, from the root on.
  (cd "$apt/root" && find . '(' -name 'ld-*' -o -name 'libc[.-]*' -o -name 'libcap-ng.*' -o -path '*/bin/busybox' \
    -o -path '*/bin/dash' -o -path '*/bin/cat' -o -path '*/bin/nice' -o -path '*/bin/sleep' -o -path '*/bin/setsid' -o -path '*/bin/setpriv' ')' ! -type d \
    -exec cp -a --parents -t "$folder/root" {} +)
  touch "$folder/ready"
}

# Packages and the standard library for a processor.
fetch_tools() {
  local triple=$1
  case $triple in
    x86_64-*) install qemu-system-x86 cpio binutils ;;
    aarch64-*) install qemu-system-arm cpio gcc-aarch64-linux-gnu libc6-dev-arm64-cross ;;
  esac
  [ -d "$(rustc --print sysroot)/lib/rustlib/$triple" ] && return 0
  command -v rustup >/dev/null || fail "this rustc has no standard library for $triple, and there is no rustup"
  timeout --kill-after=10 "$FETCH_LIMIT" rustup target add "$triple" </dev/null ||
    fail "the standard library for $triple can't be had"
}

triple_of() {
  case $1 in
    amd64) echo x86_64-unknown-linux-gnu ;;
    arm64) echo aarch64-unknown-linux-gnu ;;
    *) fail "no such processor: $1" ;;
  esac
}

# Gets all that it takes, one at a time: other lanes and other checkouts use the same folder.
fetch() {
  local suite=$1 arch=$2
  kernel=$cache/kernel-$suite-$arch-$REVISION triple=$(triple_of "$arch")
  mkdir -p "$cache"
  exec 8>"$cache/kernel.lock"
  flock --wait 900 8 || fail "another run has had $cache for a quarter of an hour"
  fetch_tools "$triple"
  fetch_kernel "$suite" "$arch" "$kernel"
  exec 8>&-
}

# Builds the tests as static programs; `programs` gets a line for each: its path.
build() {
  local version
  version=$(rustc --version | cut -d' ' -f2)
  export CARGO_TARGET_DIR=${HERDER_KERNEL_TARGET:-$cache/target-kernel-$version}
  export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS='-C target-feature=+crt-static'
  export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS=$CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS
  export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
  local wanted=(-p herder-sys --test engine)
  case $triple in x86_64-*) wanted+=(-p herder --test it) ;; esac
  timeout --kill-after=10 "$BUILD_LIMIT" cargo test --no-run --target "$triple" "${wanted[@]}" \
    --message-format=json-render-diagnostics </dev/null >"$work/built"
  programs=$(sed -nE 's|.*"executable":"([^"]+)".*|\1|p' "$work/built")
  # What the tests of the library start.
  timeout --kill-after=10 "$BUILD_LIMIT" cargo build --quiet --target "$triple" -p test-child --bin test-child </dev/null
}

# The path of a test program of the build.
program() {
  grep -E "/$1-[0-9a-f]+\$" <<<"$programs" || fail "no test program $1 was built"
}

# The guest's root: busybox, the tests at their own paths, and what it does first.
make_initrd() {
  local root=$work/root name path strip=strip
  local base=$CARGO_TARGET_DIR/$triple/debug
  case $triple in aarch64-*) strip=aarch64-linux-gnu-strip ;; esac
  mkdir -p "$root"/{bin,usr/bin,sbin,etc,proc,sys,dev,tmp,root} "$root$base/deps" "$root$PWD"
  chmod 1777 "$root/tmp"
  cp -r "$kernel/root/." "$root"
  printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'nobody:x:65534:65534:nobody:/:/bin/sh' >"$root/etc/passwd"
  printf '%s\n' 'root:x:0:' 'nogroup:x:65534:' >"$root/etc/group"
  for path in $programs; do "$strip" --strip-debug -o "$root$path" "$path"; done
  "$strip" --strip-debug -o "$root$base/test-child" "$base/test-child"
  cat >"$root/init" <<INIT
#!/bin/busybox sh
export PATH=/bin:/usr/bin
# Each in its place but for those that are there.
/bin/busybox mkdir -p /applets
/bin/busybox --install -s /applets
for tool in /applets/*; do
  name=\${tool#/applets/}
  [ -e "/bin/\$name" ] || [ -e "/usr/bin/\$name" ] || /bin/busybox mv "\$tool" /bin/
done
/bin/busybox ln -sf dash /bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t cgroup2 cgroup /sys/fs/cgroup
ip link set lo up
export HOME=/root TMPDIR=/tmp RUST_BACKTRACE=1 HERDER_TEST_SLOWER=$SLOWER
cd '$PWD'
uname -srm
. /list
echo "guest-exit \$status"
poweroff -f
INIT
  chmod +x "$root/init"
  {
    echo 'status=0'
    while read -r name arguments; do
      echo "echo '     Running $name $arguments'; $(program "$name") $arguments || status=\$?"
    done
  } >"$root/list"
  (cd "$root" && find . | cpio --quiet -o -H newc) | gzip -1 >"$work/initrd"
}

# Boots the kernel and gives the guest's output and status. A guest that ends without a word has failed.
boot() {
  local qemu console status
  case $triple in
    x86_64-*) qemu=(qemu-system-x86_64 -M q35) console=ttyS0 ;;
    aarch64-*) qemu=(qemu-system-aarch64 -M virt) console=ttyAMA0 ;;
  esac
  timeout --kill-after=10 "$GUEST_LIMIT" "${qemu[@]}" -accel tcg,thread=multi -cpu max -smp "$CPUS" -m "$MEMORY" \
    -nodefaults -no-reboot -display none -serial stdio -kernel "$kernel/vmlinuz" -initrd "$work/initrd" \
    -append "console=$console quiet loglevel=1 panic=-1 mitigations=off" </dev/null |
    tr -d '\r' >"$work/out" || echo "kernel: the guest did not end in $GUEST_LIMIT s"
  sed -e '/^guest-exit /d' -e '/\] reboot: Power down$/d' "$work/out"
  status=$(sed -n 's/^guest-exit //p' "$work/out")
  [ -n "$status" ] || fail "the guest ended without a word"
  return "$status"
}

main() {
  local command=${1:-}
  [ $# -ge 3 ] || command=help
  case $command in
    fetch) fetch "$2" "$3" ;;
    test)
      fetch "$2" "$3"
      build
      tests_for | make_initrd
      boot
      ;;
    boot)
      fetch "$2" "$3"
      build
      shift 3
      make_initrd <<<"$*"
      boot
      ;;
    *)
      sed -n '2,/^set -eu/{/^set/d; s/^# \{0,1\}//; p}' "${BASH_SOURCE[0]}"
      exit 2
      ;;
  esac
}

main "$@"
