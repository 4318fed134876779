#!/usr/bin/env bash
# reachable.sh FOLDER FOLDER COMMAND...: runs the command where everybody can reach the two folders at their own
# paths. To be run by root in a mount namespace of its own (unshare --mount): it covers closed folders above them.
set -euo pipefail

folders=("$1" "$2")
shift 2

# Held open at an open path while their own is covered.
held=$(mktemp -d /tmp/herder-ci-held.XXXXXX)
mount -t tmpfs -o mode=755 tmpfs "$held"
trap 'umount --recursive "$held" && rmdir "$held"' EXIT
for index in "${!folders[@]}"; do
  mkdir "$held/$index"
  mount --bind "${folders[$index]}" "$held/$index"
done

# Covers the topmost folder above a path that others may not enter.
uncover() {
  local path=$1 above=/ part
  local -a parts
  IFS=/ read -ra parts <<<"${path#/}"
  for part in "${parts[@]}"; do
    above=${above%/}/$part
    if [ "$above" != "$path" ] && [ -d "$above" ] && ! (($(stat -c '0%a' "$above") & 1)); then
      mount -t tmpfs -o mode=755 tmpfs "$above"
      break
    fi
  done
}

for folder in "${folders[@]}"; do uncover "$folder"; done
for index in "${!folders[@]}"; do
  mkdir -p "${folders[$index]}"
  mount --bind -o ro "$held/$index" "${folders[$index]}"
done
# The working folder still is the covered one: enter the one that is reachable.
cd "$PWD"
"$@"
