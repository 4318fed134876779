//! Builds the keeper, which the library carries with it, with the same `rustc`, so that cargo alone is enough.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=keeper");
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let path = out.join("herder-keeper");
    // An empty program says that there is none: the library then tells why a keeper can't be had.
    if !build(&path) {
        println!("cargo::warning=the keeper can't be built for this target: owners that die are not covered");
        fs::write(&path, []).expect("OUT_DIR can be written to");
    }
    println!("cargo::rustc-env=HERDER_KEEPER={}", path.display());
}

/// True when the program was built.
#[expect(clippy::disallowed_methods, reason = "a build script has only the standard library at hand")]
fn build(path: &Path) -> bool {
    let rustc = env::var_os("RUSTC").expect("cargo sets RUSTC");
    let target = env::var("TARGET").expect("cargo sets TARGET");
    let is_known = target.starts_with("x86_64-") || target.starts_with("aarch64-");
    if !is_known || !target.contains("-linux-") {
        return false;
    }
    let mut command = Command::new(rustc);
    command
        .args(["--edition", "2024", "--crate-name", "herder_keeper", "--crate-type", "bin"])
        .args(["--target", &target])
        .args(["-C", "panic=abort", "-C", "opt-level=s", "-C", "codegen-units=1", "-C", "lto=fat"])
        .args(["-C", "relocation-model=static", "-C", "strip=symbols"])
        .args(["-C", "link-arg=-nostartfiles", "-C", "link-arg=-nostdlib", "-C", "link-arg=-static"])
        .args(["-C", "link-arg=-Wl,--build-id=none"]);
    if target.contains("musl") {
        // It brings its own start code otherwise.
        command.args(["-C", "link-self-contained=no"]);
    }
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        command.arg("-C").arg({
            let mut option = std::ffi::OsString::from("linker=");
            option.push(linker);
            option
        });
    }
    command.arg("-o").arg(path).arg("keeper/main.rs").status().is_ok_and(|status| status.success())
}
