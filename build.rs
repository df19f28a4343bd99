//! Makes the binary smaller: the table of look-alike letters is full of pointers, and each costs a relocation of 24
//! bytes unless these are packed (`DT_RELR`, which the loader of glibc knows since 2.36).

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target = |key: &str| std::env::var(format!("CARGO_CFG_TARGET_{key}")).unwrap_or_default();
    if target("OS") == "linux" && target("ENV") == "gnu" {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
