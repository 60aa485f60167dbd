//! The documents that name every crate: none left out, none that is not there.

use super::{Finding, Source};

const DOCUMENTS: [&str; 2] = ["README.md", "docs/ARCHITECTURE.md"];
/// What is spelled like one of our crates and is none.
const OTHERS: [&str; 3] = ["nixl-sys", "nixl-cu12", "nixl-cu13"];

/// Compares the documents with the names of the crates in `crates/`.
pub(crate) fn check(crates: &[&str], sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for document in DOCUMENTS {
        let Some(source) = sources.iter().find(|source| source.path == document) else {
            findings.push(Finding::new(
                document,
                1,
                "there is no such file; write it, with a word on every crate",
            ));
            continue;
        };
        let lines = source.text.lines().enumerate();
        let named = lines.flat_map(|(index, line)| crate_names(line).map(move |name| (index + 1, name)));
        let named = named.collect::<Vec<_>>();
        for name in crates.iter().filter(|name| !named.iter().any(|(_, found)| found == *name)) {
            findings.push(Finding::new(document, 1, format!("{name} is not named; say what is in it")));
        }
        for (line, name) in named.iter().filter(|(_, name)| !crates.contains(name) && !OTHERS.contains(name))
        {
            findings.push(Finding::new(
                document,
                *line,
                format!("there is no crate {name}; remove or correct the name"),
            ));
        }
    }
    findings
}

/// The words of a line that are spelled like a crate of ours, or stand after `crates/`.
fn crate_names(line: &str) -> impl Iterator<Item = &str> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || "-_./".contains(letter);
    line.split(move |letter| !is_part(letter)).filter_map(|word| {
        let word = word.trim_end_matches(['.', '/', '-']);
        if let Some((_, path)) = word.rsplit_once("crates/") {
            return path.split('/').next().filter(|name| !name.is_empty());
        }
        let is_ours = (word.starts_with("l2-") || word.starts_with("nixl-")) && !word.contains(['/', '.']);
        is_ours.then_some(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CRATES: [&str; 2] = ["l2-core", "nixl-l2"];

    #[track_caller]
    fn check_document(text: &str, expect: &[&str]) {
        let sources = DOCUMENTS.map(|path| Source { path: path.into(), text: "l2-core nixl-l2\n".into() });
        let [mut readme, architecture] = sources;
        readme.text = text.into();
        let found = check(&CRATES, &[readme, architecture]);
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn a_document_that_names_exactly_the_crates_is_fine() {
        check_document("`l2-core` is a room.\nSo is [nixl-l2](crates/nixl-l2/src/lib.rs).\n", &[]);
        check_document("nixl-l2: pass `--l2-adapter`, see nixl-facts.md, on nixl-sys (l2-core).\n", &[]);
    }

    #[test]
    fn a_crate_left_out_is_found() {
        check_document("nixl-l2\n", &["README.md:1: l2-core is not named; say what is in it"]);
    }

    #[test]
    fn a_crate_that_is_not_there_is_found_where_it_is_named() {
        let expect = ["README.md:2: there is no crate l2-gone; remove or correct the name"];
        check_document("l2-core, nixl-l2\nand `l2-gone`.\n", &expect);
        check_document("l2-core, nixl-l2\nsee crates/l2-gone/src/lib.rs\n", &expect);
    }

    #[test]
    fn a_document_that_is_missing_is_found() {
        assert_eq!(check(&CRATES, &[]).len(), DOCUMENTS.len());
    }
}
