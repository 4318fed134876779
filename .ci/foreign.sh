#!/usr/bin/env bash
# Lints for systems that nothing here can run: the code is type-checked against their standard and C libraries, and
# nothing is linked, so no linker and no SDK of theirs is needed. For Debian 12 or later; root, unless the packages are
# there. What takes long to build lies in a folder outside of the checkout and is used again:
#   bash .ci/foreign.sh [TARGET...]     all targets, or only these
#
#   HERDER_CI_CACHE        that folder (${XDG_CACHE_HOME:-$HOME/.cache}/herder-ci)
#   HERDER_FOREIGN_TARGET  where cargo builds (a folder in there, by the compiler's version)
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=.ci/lib.sh
source .ci/lib.sh

targets=(x86_64-pc-windows-msvc aarch64-apple-darwin x86_64-unknown-freebsd x86_64-unknown-netbsd
  x86_64-unknown-openbsd aarch64-unknown-linux-gnu x86_64-unknown-linux-musl)
[ $# = 0 ] || targets=("$@")

mkdir -p "$cache"
exec 8>"$cache/foreign.lock"
flock --wait 1800 8 || { echo "another run has had $cache for half an hour" >&2; exit 1; }
install_packages rustc-web cargo-web rust-web-src rust-web-clippy
use_debian_toolchain
export CARGO_TARGET_DIR=${HERDER_FOREIGN_TARGET:-$cache/target-foreign-$(debian_rust_version)}
# Nothing runs, so nothing is debugged.
export CARGO_PROFILE_DEV_DEBUG=0
forget_other_checkouts "${targets[@]}"

failed=()
for target in "${targets[@]}"; do
  start=$SECONDS verdict=passed
  cargo clippy --quiet --target "$target" -p herder-sys -p herder -p herder-cli -p test-child --all-targets --all-features 8>&- \
    -- -D warnings || verdict=failed
  echo "$target: $verdict in $((SECONDS - start)) s"
  [ "$verdict" = passed ] || failed+=("$target")
done
[ ${#failed[@]} = 0 ] || { echo "failed: ${failed[*]}" >&2; exit 1; }
