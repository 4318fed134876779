//! Builds the keeper, which the library carries with it, with the same `rustc`, so that cargo alone is enough.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=keeper");
    println!("cargo::rerun-if-changed=src/step.rs");
    println!("cargo::rerun-if-changed=src/linux/child");
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let path = out.join("herder-keeper");
    // An empty program says that there is none: the library then tells why a keeper can't be had.
    if !build(&path) {
        if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
            // Elsewhere there is another engine, which does without this program.
            println!(
                "cargo::warning=the keeper can't be built for this target: owners that die are not covered"
            );
        }
        fs::write(&path, []).expect("OUT_DIR can be written to");
    }
    println!("cargo::rustc-env=HERDER_KEEPER={}", path.display());
}

/// True when the program was built: with the linker of the target, or else with the one that comes with `rustc`.
fn build(path: &Path) -> bool {
    let target = env::var("TARGET").expect("cargo sets TARGET");
    let is_known = target.starts_with("x86_64-") || target.starts_with("aarch64-");
    if !is_known || !target.contains("-linux-") {
        return false;
    }
    let mut usual = vec!["-Clink-arg=-nostartfiles", "-Clink-arg=-nostdlib", "-Clink-arg=-static"];
    usual.push("-Clink-arg=-Wl,--build-id=none");
    if target.contains("musl") {
        // It brings its own start code otherwise.
        usual.push("-Clink-self-contained=no");
    }
    let linker = env::var("RUSTC_LINKER").map(|linker| format!("-Clinker={linker}"));
    usual.extend(linker.as_deref());
    let own = ["-Clinker=rust-lld", "-Clinker-flavor=ld.lld", "-Clink-arg=-static"];
    compile(&target, &usual, path) || compile(&target, &own, path)
}

#[expect(clippy::disallowed_methods, reason = "a build script has only the standard library at hand")]
fn compile(target: &str, link: &[&str], path: &Path) -> bool {
    let rustc = env::var_os("RUSTC").expect("cargo sets RUSTC");
    Command::new(rustc)
        .args(["--edition=2024", "--crate-name=herder_keeper", "--crate-type=bin", "--target", target])
        .args(["-Cpanic=abort", "-Copt-level=s", "-Ccodegen-units=1", "-Clto=fat", "-Cstrip=symbols"])
        .arg("-Crelocation-model=static")
        .args(link)
        .arg("-o")
        .arg(path)
        .arg("keeper/main.rs")
        .status()
        .is_ok_and(|status| status.success())
}
