//! The help text, made from the table of fields.

use crate::adapter::AdapterType;
use crate::backend::Backend;
use crate::fields::{FIELDS, Field, Place, Preset, Role, any_of};

/// The width to which lines are broken.
const WIDTH: usize = 100;

/// Every key of `--l2-adapter`: what it is, its kind, range, unit and default, who knows it, and what it costs.
#[must_use]
pub fn help_text() -> String {
    let mut help = String::new();
    paragraph(
        &mut help,
        "",
        "--l2-adapter takes one JSON object. Numbers and booleans may also be given as texts: \"10\", \"false\". A key that \
         is not listed here is an error.",
    );
    for (place, title) in [
        (Place::Top, "At the top level"),
        (Place::BackendParams, "In backend_params"),
        (Place::Eviction, "In eviction"),
    ] {
        help.push('\n');
        paragraph(&mut help, "", &format!("{title}:"));
        for field in FIELDS.iter().filter(|field| field.place == place) {
            describe(&mut help, field);
        }
    }
    help.push_str("\nExamples:\n");
    for example in [
        r#"'{"type": "nixl_store_dynamic", "backend": "POSIX", "backend_params": {"file_path": "/data/l2", "use_direct_io": "false", "max_capacity_gb": "10"}}'"#,
        r#"'{"type": "nixl_store", "backend": "OBJ", "backend_params": {"bucket": "kv"}, "pool_size": 32}'"#,
    ] {
        help.push_str("  --l2-adapter ");
        help.push_str(example);
        help.push('\n');
    }
    help
}

fn describe(help: &mut String, field: &Field) {
    help.push_str("\n  ");
    help.push_str(field.name);
    help.push('\n');
    paragraph(help, "      ", field.about);
    if field.role != Role::Refused {
        paragraph(help, "      ", &value(field));
    }
    if let Some(who) = known_to(field) {
        paragraph(help, "      ", &who);
    }
    if let Some(trade_off) = field.trade_off {
        paragraph(help, "      ", trade_off);
    }
}

/// Kind, range and unit, and what stands for it when it is not given.
pub(crate) fn value(field: &Field) -> String {
    let allowed = field.allowed();
    let default = match (field.required, field.default) {
        (true, _) => "Required.".to_owned(),
        (false, Preset::None) => "Optional.".to_owned(),
        (false, Preset::Boolean(preset)) => format!("Default: {preset}."),
        (false, Preset::Number(preset)) => format!("Default: {preset}."),
        (false, Preset::Described(preset)) => format!("Default: {preset}."),
    };
    format!("Value: {allowed}. {default}")
}

/// The adapters and backends that know it, where those are not all.
pub(crate) fn known_to(field: &Field) -> Option<String> {
    let adapters: Vec<_> = field.adapters.iter().map(|adapter| adapter.name()).collect();
    let adapters = (field.adapters != AdapterType::ALL).then(|| any_of(&adapters));
    // The dynamic adapter has no other backends, so it need not say so.
    let all = match field.adapters {
        [AdapterType::Dynamic] => Backend::FILES,
        _ => Backend::ALL,
    };
    let known: Vec<_> = all.iter().filter(|backend| field.backends.contains(backend)).collect();
    let names: Vec<_> = known.iter().map(|backend| backend.name()).collect();
    let backends = (known.len() < all.len()).then(|| any_of(&names));
    match (adapters, backends) {
        (None, None) => None,
        (Some(who), None) | (None, Some(who)) => Some(format!("Only for {who}.")),
        (Some(adapters), Some(backends)) => Some(format!("Only for {adapters}, with {backends}.")),
    }
}

/// The text, broken between words.
fn paragraph(help: &mut String, indent: &str, text: &str) {
    let mut column = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > WIDTH {
            help.push('\n');
            column = 0;
        }
        if column == 0 {
            help.push_str(indent);
            column = indent.len();
        } else {
            help.push(' ');
            column += 1;
        }
        help.push_str(word);
        column += length;
    }
    help.push('\n');
}
