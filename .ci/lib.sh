# The helpers of .ci/run: lanes, counting, and running test programs without cargo.
# shellcheck shell=bash

export CARGO_TERM_COLOR=never RUST_BACKTRACE=1

total_passed=0
total_failed=0
broken_lanes=()
timings=()
# The folder of the lanes' logs; main makes it.
logs=
# What takes long to get lies outside of the checkout and is used again, by later runs and by other checkouts.
cache=${HERDER_CI_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/herder-ci}

# Runs one lane in a shell of its own, shows its output, and adds up its tests.
run_lane() {
  local lane=$1 log="$logs/$1.log" start=$SECONDS status passed failed
  echo "=== $lane"
  # Into a file and not through a pipe: a process that a test left behind could hold a pipe open for ever.
  : >"$log"
  (set -euo pipefail; "lane_$lane") </dev/null >"$log" 2>&1 &
  tail --follow --lines=+1 --sleep-interval=0.2 --pid=$! "$log"
  # Waited for outside of any condition: inside one, bash would ignore errors in the lane.
  set +e
  wait $!
  status=$?
  set -e
  read -r passed failed < <(count_tests "$log")
  if [ "$status" != 0 ]; then
    broken_lanes+=("$lane")
    if [ "$failed" = 0 ]; then failed=1; fi
  elif [ "$failed" != 0 ]; then
    broken_lanes+=("$lane")
  fi
  total_passed=$((total_passed + passed))
  total_failed=$((total_failed + failed))
  timings+=("$(printf '%5d s  %-32s %5d passed, %d failed' $((SECONDS - start)) "$lane" "$passed" "$failed")")
  echo "--- $lane: $((SECONDS - start)) s, exit $status"
}

# The sums of cargo's lines `test result: ok. 12 passed; 0 failed; ...` in a log.
count_tests() {
  awk '/^test result: / {
         for (i = 2; i <= NF; i++) {
           if ($i == "passed;") passed += $(i - 1)
           if ($i == "failed;") failed += $(i - 1)
         }
       }
       END { print passed + 0, failed + 0 }' "$1"
}

summary() {
  echo "=== summary"
  printf '%s\n' "${timings[@]}"
  if [ ${#broken_lanes[@]} -gt 0 ]; then echo "broken: ${broken_lanes[*]}"; fi
  echo "$total_passed passed, $total_failed failed"
  [ "$total_failed" = 0 ] && [ ${#broken_lanes[@]} = 0 ]
}

# Ends a command that hangs, and everything it started that stayed in its group.
limited() {
  local seconds=$1
  shift
  timeout --kill-after=10 "$seconds" "$@"
}

# Installs a Debian package if its program is missing.
need() {
  local program=$1 package=$2
  if command -v "$program" >/dev/null; then
    echo "$program: $(command -v "$program")"
    return
  fi
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "$program is missing; install the package $package" >&2
    return 1
  fi
  install_packages "$package"
}

# Waits for nothing for ever: a mirror that is away, or another apt, ends it with an error.
apt() {
  DEBIAN_FRONTEND=noninteractive timeout --kill-after=10 600 \
    apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o Acquire::http::Timeout=60 -q -y "$@" </dev/null
}

# Installs those of Debian's packages that are not there yet.
install_packages() {
  local package missing=()
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "install these packages: ${missing[*]}" >&2
    return 1
  fi
  apt update && apt install --no-install-recommends "${missing[@]}" && return
  echo "these packages can't be had: ${missing[*]}" >&2
  return 1
}

# The toolchain of rustup has no standard library for other systems; that of Debian (rustc-web, cargo-web, rust-web-src)
# brings the sources of its own, and cargo builds it for each target.
use_debian_toolchain() {
  export PATH=/usr/bin:$PATH RUSTC_BOOTSTRAP=1 CARGO_UNSTABLE_BUILD_STD=std,panic_unwind,test
  unset RUSTUP_TOOLCHAIN CARGO RUSTC
}

debian_rust_version() { /usr/bin/rustc --version | cut -d' ' -f2; }

# forget_other_checkouts TARGET...: two checkouts share what is built of the crates that neither changes. Of our own
# crates cargo would take that of the other one for its own, as it looks at their names inside the checkout and the
# times of their files.
forget_other_checkouts() {
  local stamp=$CARGO_TARGET_DIR/checkout folder target ours=() targets=()
  if [ "$(cat "$stamp" 2>/dev/null)" != "$PWD" ]; then
    for folder in crates/*/; do ours+=(-p "$(basename "$folder")"); done
    for target in "$@"; do targets+=(--target "$target"); done
    cargo clean --quiet "${targets[@]}" "${ours[@]}"
    mkdir -p "$CARGO_TARGET_DIR"
    echo "$PWD" >"$stamp"
  fi
}

# The block of README.md behind the line `<!-- ci:test -->`.
readme_test_command() {
  local command
  command=$(awk '/^<!-- ci:test -->$/ { marked = 1; next }
                 marked && /^```sh$/  { inside = 1; next }
                 inside && /^```$/    { exit }
                 inside               { sub(/[ \t]+#.*$/, ""); print }
                 marked && !inside && NF { exit }' README.md)
  if [ -z "$command" ]; then
    echo 'README.md has no sh block behind a line <!-- ci:test -->' >&2
    return 1
  fi
  printf '%s\n' "$command"
}

# Builds the tests exactly as the README's command does, so that nothing is built twice, and prints a line for each
# test program: its package's folder, a tab, its path.
test_programs() {
  local command
  command=$(readme_test_command)
  case $command in
    "cargo test "*) ;;
    *) echo "the README's test command is not a plain cargo test: $command" >&2; return 1 ;;
  esac
  # Cargo prints one message a line; a program that is a test says so in its profile.
  bash -euo pipefail -c "$command --no-run --message-format=json-render-diagnostics" |
    sed -nE '/"profile":\{[^}]*"test":true\}/ s|.*"manifest_path":"([^"]+)/Cargo.toml".*"executable":"([^"]+)".*|\1\t\2|p'
}

# Runs the test programs of the named packages, as TEST_USER if that is set.
run_tests() {
  local folder program listed status=0 ran=0
  local run=(limited 900)
  listed=$(test_programs)
  if [ -n "${TEST_USER:-}" ]; then run=(as_user "$TEST_USER"); fi
  while IFS=$'\t' read -r folder program; do
    case " $* " in *" ${folder##*/} "*) ;; *) continue ;; esac
    ran=$((ran + 1))
    echo "     Running ${program#"$PWD/"}"
    # Where cargo would run it. Every program has its turn, whatever became of the one before.
    (cd "$folder" && CARGO_MANIFEST_DIR=$folder "${run[@]}" "$program") || status=$?
  done <<<"$listed"
  if [ "$ran" = 0 ]; then
    echo "no test program of $* was built" >&2
    return 1
  fi
  return "$status"
}

# as_user NAME PROGRAM [ARGUMENT...]: runs a test program as an ordinary user with an empty home.
#
# The checkout may lie in a folder that only root may enter, and the programs have its path compiled in. So it is
# shown to the user at the same path, read-only, in a mount namespace of its own, with an empty folder in place of
# the closed one.
as_user() {
  local user=$1 program=$2 home status=0
  shift 2
  home=$(mktemp -d /tmp/herder-ci-home.XXXXXX)
  chown "$user:" "$home"
  local drop=(setpriv "--reuid=$user" "--regid=$(id -g "$user")" --clear-groups
    env -u CARGO -u CARGO_HOME -u CARGO_TARGET_DIR "HOME=$home" "TMPDIR=$home" "USER=$user" "LOGNAME=$user")
  if setpriv "--reuid=$user" "--regid=$(id -g "$user")" --clear-groups test -x "$program" -a -r "$PWD"; then
    limited 900 "${drop[@]}" "$program" "$@" || status=$?
  else
    limited 900 unshare --mount --propagation private bash "$ci_folder/reachable.sh" "$repository" \
      "$(target_folder "$program")" "${drop[@]}" "$program" "$@" || status=$?
  fi
  rm -rf "$home"
  return "$status"
}

# The folder that holds cargo's output, for a program in `.../debug/deps` or `.../debug`.
target_folder() {
  local folder
  folder=$(dirname "$1")
  dirname "${folder%/deps}"
}

# A line for each living process that runs the named program of this build: its number and its program.
processes_of() {
  # Processes come and go while find looks, so its own complaints mean nothing.
  find /proc -maxdepth 2 -path '/proc/[0-9]*/exe' -lname "${CARGO_TARGET_DIR:-$repository/target}/*/$1" \
    -printf '%h %l\n' 2>/dev/null || true
}

repository=$PWD
ci_folder=$PWD/.ci
