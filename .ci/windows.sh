#!/usr/bin/env bash
# The tests of Herder on Windows' interface: built here for x86_64-pc-windows-gnu and run by Wine. For Debian 12 or
# later, as root. Everything that takes long to get lies in a folder outside of the checkout and is used again:
#   bash .ci/windows.sh prepare              compiler, linker, and Wine in a folder of its own
#   bash .ci/windows.sh test CARGO-ARGS...   prepare, then `cargo test` for Windows
#   bash .ci/windows.sh cargo ARGS...        prepare, then any command of cargo for Windows
#   bash .ci/windows.sh ctrl-c               prepare, then press Ctrl-C where `herder run` is at a console; when cargo
#                                            has built herder-cli and test-child
#   bash .ci/windows.sh wine PROGRAM ...     one program (this is what cargo calls for each test program)
#   bash .ci/windows.sh terminal PROGRAM ... one program that uses our terminal
#
#   HERDER_CI_CACHE     that folder (${XDG_CACHE_HOME:-$HOME/.cache}/herder-ci)
#   HERDER_WINE_TARGET  where cargo builds (a folder in there, by the compiler's version)
#   HERDER_WINE_LIMIT   seconds that one test program may take (900)
set -euo pipefail

# What is in the folders: another number makes them anew.
readonly REVISION=1
readonly SUITE=trixie
readonly TARGET=x86_64-pc-windows-gnu
readonly RUNNER=CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER

self=$(readlink -f "${BASH_SOURCE[0]}")
# shellcheck source=.ci/lib.sh
source "$(dirname "$self")/lib.sh"
tree=$cache/wine-$SUITE-$REVISION
export WINEPREFIX=$cache/prefix-$SUITE-$REVISION WINEARCH=win64 WINEDEBUG=${WINEDEBUG:--all}
# No Mono, Gecko, menu entries or crash dialogues: tests need none of them.
export WINEDLLOVERRIDES='mscoree=;mshtml=;winemenubuilder.exe=;winedbg.exe='

fail() {
  echo "windows: $*" >&2
  exit 1
}

mirror() {
  local found
  found=$(sed -nE 's/^URIs: *([^ ]+).*/\1/p; s/^deb (\[[^]]*\] )?([^ ]+) .*/\2/p' \
    /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null | head -n 1)
  echo "${found:-http://deb.debian.org/debian}"
}

# Debian 13 with its Wine 10, in a folder: the Wine 8 of Debian 12 loses programs, and mangles arguments.
make_tree() {
  [ ! -e "$tree/ready" ] || return 0
  rm -rf "$tree"
  timeout --kill-after=10 900 debootstrap --variant=minbase "$SUITE" "$tree" "$(mirror)" </dev/null ||
    fail "a Debian $SUITE can't be had from $(mirror)"
  timeout --kill-after=10 900 chroot "$tree" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -qy --no-install-recommends wine wine64 </dev/null || fail "Wine can't be had"
  chroot "$tree" apt-get clean
  touch "$tree/ready"
}

# Runs a command where Wine is: in a mount namespace of its own the system's folders are the tree's, all others these.
inside() {
  # shellcheck disable=SC2016 # the inner shell expands them
  TREE=$tree DIR=$PWD unshare --mount sh -c '
    for dir in /*; do
      case $dir in
        /bin | /boot | /etc | /lib* | /lost+found | /opt | /run | /sbin | /usr | /var) ;;
        *) [ ! -d "$dir" ] || { mkdir -p "$TREE$dir" && mount --rbind "$dir" "$TREE$dir"; } ;;
      esac
    done
    exec chroot "$TREE" env -u TREE -u DIR PATH=/usr/bin:/bin sh -c "cd \"\$0\" && exec \"\$@\"" "$DIR" "$@"
  ' sh "$@"
}

make_prefix() {
  [ ! -e "$WINEPREFIX/ready" ] || return 0
  rm -rf "$WINEPREFIX"
  inside timeout --kill-after=10 300 wineboot --init </dev/null >"$cache/wineboot.log" 2>&1 ||
    fail "Wine can't be set up; see $cache/wineboot.log"
  inside timeout --kill-after=10 60 wineserver --wait || fail "Wine's set-up does not end"
  touch "$WINEPREFIX/ready"
}

prepare() {
  [ "$(id -u)" = 0 ] || fail "root is needed, for packages and for the folder that Wine lives in"
  command -v apt-get >/dev/null || fail "this is for Debian: there is no apt-get"
  mkdir -p "$cache"
  exec 8>"$cache/windows.lock"
  flock --wait 1800 8 || fail "another run has had $cache for half an hour"
  # The toolchain of rustup has no standard library for Windows; that of Debian brings the sources of its own.
  install_packages rustc-web cargo-web rust-web-src gcc-mingw-w64-x86-64-win32 debootstrap
  make_tree
  make_prefix
}

# cargo for Windows, or what needs its results. All goes through the environment, so that whatever cargo calls has it, too.
foreign() {
  local status=0 hold
  use_debian_toolchain
  export CARGO_BUILD_TARGET=$TARGET
  export CARGO_TARGET_DIR=${HERDER_WINE_TARGET:-$cache/target-windows-$(debian_rust_version)}
  export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER=x86_64-w64-mingw32-gcc
  export "$RUNNER=bash $self wine"
  forget_other_checkouts "$TARGET"
  # A program that only waits keeps Wine's services up between the test programs. They hold its streams then, and not
  # those of a test.
  hold=$cache/hold.$$
  mkfifo "$hold"
  inside wine cmd.exe <"$hold" >/dev/null 2>&1 8>&- &
  exec 9>"$hold"
  rm "$hold"
  "$@" 8>&- 9>&- || status=$?
  exec 9>&-
  inside wineserver --kill || true
  return "$status"
}

# Presses Ctrl-C when the program of `herder run OPTION...` is up, and compares how that ends.
#   press STATUSES TEXT OPTION...   one of these is its exit status, and this stands in its output
press() {
  local statuses=" $1 " text=$2 keys=$cache/keys.$$ screen=$cache/screen.$$ ended=0 tries=0
  local folder=${CARGO_TARGET_DIR:?}/$TARGET/debug
  shift 2
  mkfifo "$keys"
  SHELL=/bin/bash script --quiet --return --flush --command \
    "bash '$self' terminal '$folder/herder.exe' run $* -- '$folder/test-child.exe' mark:up hang" /dev/null \
    <"$keys" >"$screen" 2>&1 8>&- 9>&- &
  exec 7>"$keys"
  rm "$keys"
  until grep --quiet up "$screen" || [ $((tries += 1)) -gt 600 ]; do sleep 0.1; done
  printf '\003' >&7
  wait $! || ended=$?
  exec 7>&-
  if [[ $statuses = *" $ended "* ]] && grep --quiet --fixed-strings -- "$text" "$screen"; then
    rm "$screen"
    echo "test ctrl_c $* ... ok"
    return
  fi
  echo "test ctrl_c $* ... FAILED: status $ended, and this on the screen:"
  cat "$screen"
  rm "$screen"
  return 1
}

# A line at the end that says how many there were, as cargo does.
ctrl_c() {
  local passed=0 failed=0
  # STATUS_CONTROL_C_EXIT, of which a shell sees 8 bits: the program shares the console, and ends by itself.
  if press 58 up; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
  # It hears no Ctrl-C, and is asked by a Ctrl-Break, which Wine makes an end with 0 or 1. Wine has the key from its
  # console and from the terminal's SIGINT, and may tell of it twice: then it is killed, as the message says.
  if press '0 1 137' 'herder: SIGINT: stopping test-child.exe' --group; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
  fi
  echo "test result: $passed passed; $failed failed;"
  [ "$failed" = 0 ]
}

main() {
  local command=${1:-}
  [ $# = 0 ] || shift
  case $command in
    prepare) prepare ;;
    test) prepare && foreign /usr/bin/cargo test "$@" ;;
    cargo) prepare && foreign /usr/bin/cargo "$@" ;;
    ctrl-c) prepare && foreign ctrl_c ;;
    wine)
      # A test that starts cargo's programs itself would have each wrapped once more.
      unset "$RUNNER"
      inside timeout --kill-after=10 "${HERDER_WINE_LIMIT:-900}" wine "$@"
      ;;
    terminal) inside timeout --foreground --kill-after=10 120 wine "$@" ;;
    *)
      sed -n '2,/^set -eu/{/^set/d; s/^# \{0,1\}//; p}' "$self"
      exit 2
      ;;
  esac
}

main "$@"
