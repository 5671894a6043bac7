//! A release build holds no point: the module is compiled as both builds compile it, and searched
//! for the names that only a point needs.

use std::process::Command;

const NAME: &[u8] = b"APONO_FAILPOINT";

fn compiled(debug_assertions: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let object = folder.path().join("failpoint.o");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/failpoint.rs");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(["--edition", "2024", "--crate-type", "lib", "--emit", "obj"])
        .args(["-C", &format!("debug-assertions={debug_assertions}"), "-o"])
        .arg(&object)
        .arg(source)
        .output()
        .expect("rustc runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    std::fs::read(object).unwrap()
}

fn holds_points(object: &[u8]) -> bool {
    object.windows(NAME.len()).any(|bytes| bytes == NAME)
}

#[test]
fn a_release_build_holds_no_point() {
    assert!(
        holds_points(&compiled("on")),
        "this test looks for the wrong thing"
    );
    assert!(!holds_points(&compiled("off")));
}
