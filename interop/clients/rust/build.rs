use std::{env, process::Command};

/// Hands the compiler's version on to the program.
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let compiler = env::var("RUSTC").expect("cargo sets RUSTC");
    let output = Command::new(compiler).arg("--version").output().expect("rustc --version");
    let text = String::from_utf8(output.stdout).expect("rustc --version prints text");
    let version = text.split(' ').nth(1).expect("rustc VERSION");
    println!("cargo:rustc-env=COMPILER={version}");
}
