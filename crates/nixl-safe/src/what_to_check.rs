//! What to say when NIXL could not set a plugin up, for its own answer is one number.

use std::collections::BTreeMap;

/// What to check, as the end of a sentence that begins with the plugin's name.
pub(crate) fn what_to_check(plugin: &str, parameters: &BTreeMap<&str, &str>) -> String {
    explain(plugin, parameters, |name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

fn explain(plugin: &str, parameters: &BTreeMap<&str, &str>, is_set: impl Fn(&str) -> bool) -> String {
    /// What an object store cannot do without: one of these parameters, or its variable.
    type Need = (&'static str, &'static [(&'static str, &'static str)]);
    let needs: &[Need] = match plugin {
        "OBJ" => &[("bucket", &[("bucket", "AWS_DEFAULT_BUCKET")])],
        "AZURE_BLOB" => &[
            ("container", &[("container_name", "AZURE_STORAGE_CONTAINER_NAME")]),
            (
                "account",
                &[
                    ("account_url", "AZURE_STORAGE_ACCOUNT_URL"),
                    ("connection_string", "AZURE_STORAGE_CONNECTION_STRING"),
                ],
            ),
        ],
        _ => &[],
    };
    let is_given = |(parameter, variable): &(&str, &str)| {
        parameters.get(parameter).is_some_and(|value| !value.is_empty()) || is_set(variable)
    };
    match needs.iter().find(|(_, ways)| !ways.iter().any(is_given)) {
        Some((what, ways)) => {
            let way = |(parameter, variable): &(&str, &str)| {
                format!("the parameter {parameter}, or {variable} in the environment")
            };
            let ways: Vec<_> = ways.iter().map(way).collect();
            format!("cannot be set up: no {what} is named; set {}", ways.join(", or "))
        }
        None => {
            "cannot be set up; check its parameters, its driver, and that the agent has no other one of it"
                .to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_store_that_is_not_named_is_what_to_check() {
        let check = |plugin, parameters: &[(&'static str, &'static str)], variables: &[&str]| {
            let parameters = parameters.iter().copied().collect();
            explain(plugin, &parameters, |name| variables.contains(&name))
        };
        for text in
            [check("OBJ", &[], &[]), check("OBJ", &[("bucket", ""), ("region", "r")], &["AWS_REGION"])]
        {
            assert!(text.contains("set the parameter bucket, or AWS_DEFAULT_BUCKET in"), "{text}");
        }
        let container = check("AZURE_BLOB", &[("account_url", "u")], &[]);
        assert!(container.contains("container_name, or AZURE_STORAGE_CONTAINER_NAME in"), "{container}");
        let account = check("AZURE_BLOB", &[("container_name", "c")], &[]);
        assert!(account.contains("account_url") && account.contains("connection_string"), "{account}");
        for named in [
            check("OBJ", &[("bucket", "b")], &[]),
            check("OBJ", &[], &["AWS_DEFAULT_BUCKET"]),
            check("AZURE_BLOB", &[("container_name", "c"), ("connection_string", "s")], &[]),
            check("AZURE_BLOB", &[("container_name", "c")], &["AZURE_STORAGE_ACCOUNT_URL"]),
            check("POSIX", &[], &[]),
        ] {
            assert!(named.contains("check its parameters, its driver"), "{named}");
        }
    }
}
