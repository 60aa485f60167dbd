//! The page of documentation is what the table of fields says.

use std::fs;
use std::path::Path;

use l2_config::{configuration_page, fields::FIELDS};

#[test]
fn the_page_is_what_the_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let page = configuration_page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == page,
        "docs/configuration.md is stale: UPDATE_DOCS=1 cargo test -p l2-config --test page"
    );
    assert!(FIELDS.iter().all(|field| page.contains(&format!("| `{}` |", field.name))));
}
