//! The pages in `docs/reference` are what the code says.

use std::{fs, path::Path};

#[test]
fn every_page_is_what_the_code_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let pages = apono_reference::pages();
    assert_eq!(pages.len(), 7, "{:?}", pages.keys());
    for (path, text) in pages {
        let found = fs::read_to_string(root.join(&path)).unwrap_or_default();
        assert!(
            found == text,
            "{path} is not what the code says: run `cargo xtask generate` and commit what it writes"
        );
    }
}
