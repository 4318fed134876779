# The recipes of the project. `just` is a convenience: each recipe is a plain command that works without it.

# What there is to do.
default:
    @just --list

# The whole gate, as it runs before a change lands; or only some of its lanes.
verify *lanes:
    bash .ci/run {{ lanes }}

# All tests; arguments go to cargo.
test *args:
    cargo test --workspace {{ args }}

# Formatting, lints, and the rules of the structure.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo run --quiet -p xtask -- check

# The documentation, as on docs.rs.
doc *args:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --all-features {{ args }}

# The benchmarks beside all peers and the raw system calls; `just bench all --docs docs` makes the page.
bench *args="--help":
    cargo run --release -p herder-bench -- {{ args }}

# The torture table beside all peers; or only Herder's own column: `just torture herder`.
torture *args="all":
    cargo run --release -p herder-torture --features peers -- {{ args }}

# The tests of races, again and again until one fails, at most so many times.
race times="100":
    for round in $(seq {{ times }}); do cargo test --quiet -p herder --test it races || exit 1; done
