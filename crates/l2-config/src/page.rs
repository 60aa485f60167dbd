//! The page of documentation about the keys, made from the table of fields.

use std::fmt::Write as _;

use crate::fields::{FIELDS, Field, Place, Role};
use crate::help::{known_to, value};

/// `docs/configuration.md`.
#[must_use]
pub fn configuration_page() -> String {
    let mut page = "# Configuration\n\n\
        Made from the parser's own table (`l2-config/src/fields`) by `UPDATE_DOCS=1 cargo test -p l2-config --test page`; a test \
        fails when it is stale.\n\n\
        `--l2-adapter` takes one JSON object, as LMCache does. Numbers and booleans may also be given as texts (`\"10\"`, \
        `\"false\"`). A key that is not listed here, or belongs to another adapter or backend, is an error, with what was probably \
        meant; all faults are named at once. `nixl-l2 check --l2-adapter JSON` names them without opening anything, and `nixl-l2 check \
        --schema` prints a JSON Schema.\n"
        .to_owned();
    for (place, title) in [
        (Place::Top, "At the top level"),
        (Place::BackendParams, "In `backend_params`"),
        (Place::Eviction, "In `eviction`"),
    ] {
        let _ = write!(page, "\n## {title}\n\n| key | value | what it is |\n|---|---|---|\n");
        for field in FIELDS.iter().filter(|field| field.place == place) {
            row(&mut page, field);
        }
    }
    page
}

fn row(page: &mut String, field: &Field) {
    let what = [Some(field.about.to_owned()), known_to(field), field.trade_off.map(str::to_owned)];
    let what = what.into_iter().flatten().collect::<Vec<_>>().join(" ");
    let value = if field.role == Role::Refused { "Refused.".to_owned() } else { value(field) };
    let value = value.trim_start_matches("Value: ");
    let _ = writeln!(page, "| `{}` | {} | {} |", field.name, cell(value), cell(&what));
}

/// The text on one line, without what would end the cell.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
