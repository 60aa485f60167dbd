//! No secret is ever shown: not in a fault, not by `Debug`, not by `to_json`.

use l2_config::fields::{FIELDS, Place};
use l2_config::{AdapterConfig, Backend, StaticConfig};

const SECRET: &str = "hunter2hunter2";

fn objects(backend: &str, params: &str) -> String {
    format!(
        r#"{{"type": "nixl_store", "backend": "{backend}", "pool_size": 2, "backend_params": {{{params}}}}}"#
    )
}

#[track_caller]
fn check_hidden(json: &str) {
    let shown = match AdapterConfig::parse(json) {
        Ok(config) => {
            let parts = (config.plugin_params(), config.notes(), config.validate());
            format!("{config} {config:?} {config:#?} {} {parts:?}", config.to_json())
        }
        Err(errors) => format!("{errors} {errors:?}"),
    };
    assert!(!shown.contains(SECRET), "{shown}");
}

#[test]
fn a_valid_secret_is_for_nixl_alone() {
    let json = objects(
        "OBJ",
        &format!(r#""access_key": "{SECRET}", "secret_key": "{SECRET}", "session_token": "{SECRET}""#),
    );
    check_hidden(&json);
    let config = AdapterConfig::parse(&json).unwrap();
    assert!(config.plugin_params().expose().all(|(_, value)| value == SECRET));
    assert_eq!(config.to_json()["backend_params"]["secret_key"], "<redacted>");

    let json = objects("AZURE_BLOB", &format!(r#""connection_string": "AccountName=a;AccountKey={SECRET}""#));
    check_hidden(&json);
}

#[test]
fn a_secret_in_a_faulty_text_is_hidden() {
    for field in FIELDS.iter().filter(|field| field.is_secret()) {
        let name = field.name;
        for value in [
            format!(r#"["{SECRET}"]"#),
            format!(r#"{{"a": "{SECRET}"}}"#),
            format!(r#""{SECRET}\u0000""#),
            format!(r#""{SECRET}", "{name}": "{SECRET}""#),
        ] {
            for backend in ["OBJ", "AZURE_BLOB", "POSIX", "nonsense"] {
                check_hidden(&objects(backend, &format!(r#""{name}": {value}"#)));
            }
            // As JSON inside a text, a common slip.
            let text = format!(r#"{{"{name}": {value}}}"#).replace('\\', r"\\").replace('"', r#"\""#);
            check_hidden(&format!(
                r#"{{"type": "nixl_store", "backend": "OBJ", "backend_params": "{text}"}}"#
            ));
            // At the wrong level, and inside something that is not what it should be.
            check_hidden(&format!(
                r#"{{"type": "nixl_store", "backend": "OBJ", "pool_size": 1, "{name}": {value}}}"#
            ));
            check_hidden(&format!(
                r#"{{"type": "nixl_store", "backend": "OBJ", "pool_size": {{"{name}": {value}}}}}"#
            ));
            check_hidden(&format!(
                r#"{{"type": "nixl_store", "backend": "OBJ", "pool_size": 1, "backend_params": [{{"{name}": {value}}}]}}"#
            ));
        }
    }
}

#[test]
fn a_secret_under_a_misspelled_or_unknown_key_is_hidden() {
    for key in [
        "secretkey",
        "sekret_key",
        "conection_strng",
        "acess_ky",
        "passwd",
        "pw",
        "",
        "session_tkn",
        "AWS_SECRET",
    ] {
        for value in [format!(r#""{SECRET}""#), format!(r#"{{"x": ["{SECRET}"]}}"#)] {
            check_hidden(&objects("OBJ", &format!(r#""{key}": {value}"#)));
            check_hidden(&objects("AZURE_BLOB", &format!(r#""bucket": {{"{key}": {value}}}"#)));
        }
    }
}

#[test]
fn a_secret_inside_an_address_is_hidden() {
    for address in [
        format!("https://user:{SECRET}@host/x"),
        format!("https://a.blob.core.windows.net/c?sv=1&sig={SECRET}"),
        format!("AccountName=a;AccountKey={SECRET}"),
    ] {
        check_hidden(&objects("OBJ", &format!(r#""endpoint_override": "{address}""#)));
        check_hidden(&objects("AZURE_BLOB", &format!(r#""account_url": "{address}""#)));
        check_hidden(&objects("AZURE_BLOB", &format!(r#""account_url": "{address}\u0000""#)));
        check_hidden(&objects("AZURE_BLOB", &format!(r#""account_ulr": "{address}""#)));
        check_hidden(&objects("AZURE_BLOB", &format!(r#""scheme": "{address}""#)));
        check_hidden(&objects(&address, ""));
    }
}

#[test]
fn a_text_that_is_not_json_is_not_quoted() {
    check_hidden(&format!(r#"{{"secret_key": "{SECRET}" oops"#));
    check_hidden(SECRET);
    check_hidden(&format!("\"{SECRET}\""));
}

#[test]
fn every_secret_field_lies_in_backend_params() {
    assert!(FIELDS.iter().filter(|field| field.is_secret()).all(|field| field.place == Place::BackendParams));
}

#[test]
fn a_secret_set_in_rust_is_hidden_too() {
    let mut config = StaticConfig::new(Backend::Obj, 1);
    config.plugin_params.set("secret_key", SECRET);
    config.plugin_params.set("nonsense", SECRET);
    let shown = format!("{config:?} {:?} {}", config.validate(), AdapterConfig::from(config.clone()));
    assert!(!shown.contains(SECRET), "{shown}");
}
