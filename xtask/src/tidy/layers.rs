//! Layering: an arrow between crates only points down, and only some rooms may know NIXL.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::Value;

use super::{Finding, Source};
use crate::workspace::{self, Workspace};

/// The crates bottom to top, and whether each may reach `nixl-sys`. A new crate gets its line here.
const LAYERS: [(&str, bool); 14] = [
    ("l2-memory", false),
    ("nixl-safe", true),
    ("l2-core", false),
    ("l2-config", false),
    ("l2-index", false),
    ("l2-evict", false),
    ("l2-several", false),
    ("l2-files", false),
    ("l2-engine", true),
    ("l2-dynamic", true),
    ("l2-static", true),
    ("l2-doctor", true),
    ("nixl-l2", true),
    ("l2-python", true),
];
/// Never depend on each other, in neither direction, for either may be left out.
const APART: [(&str, &str); 1] = [("l2-dynamic", "l2-static")];
/// The unsafe binding that only [`LAYERS`] with `true` may reach.
const BINDING: &str = "nixl-sys";

/// Who depends on whom, by package name.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    /// The workspace's own packages and the directories of their manifests, from the top.
    members: BTreeMap<String, String>,
    /// Of every kind, dev-dependencies included.
    all: BTreeMap<String, BTreeSet<String>>,
    /// What ends up in a build of the package: normal and build dependencies.
    built: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    /// Asks cargo, with every feature on, for an optional dependency is an arrow too.
    pub(crate) fn read(workspace: &Workspace) -> Result<Self> {
        let metadata = workspace.metadata(&["--all-features", "--filter-platform", &workspace::host()?])?;
        let root = workspace.root().to_string_lossy();
        Self::parse(&metadata, &root).context("cargo metadata's answer is not understood")
    }

    fn parse(metadata: &str, root: &str) -> Option<Self> {
        let metadata: Value = serde_json::from_str(metadata).ok()?;
        let mut graph = Self::default();
        let mut names = BTreeMap::new();
        let own: BTreeSet<&str> =
            metadata.get("workspace_members")?.as_array()?.iter().filter_map(Value::as_str).collect();
        for package in metadata.get("packages")?.as_array()? {
            let (id, name) = (package.get("id")?.as_str()?, package.get("name")?.as_str()?);
            names.insert(id, name);
            if own.contains(id) {
                let manifest = package.get("manifest_path")?.as_str()?;
                let path = manifest.strip_prefix(root).map_or(manifest, |path| path.trim_start_matches('/'));
                graph.members.insert(name.to_owned(), path.to_owned());
            }
        }
        for node in metadata.pointer("/resolve/nodes")?.as_array()? {
            let from = names.get(node.get("id")?.as_str()?)?;
            for dependency in node.get("deps")?.as_array()? {
                let to = names.get(dependency.get("pkg")?.as_str()?)?;
                let kinds = dependency.get("dep_kinds")?.as_array()?;
                let is_built =
                    kinds.iter().any(|kind| kind.get("kind").and_then(Value::as_str) != Some("dev"));
                graph.add(from, to, is_built);
            }
        }
        Some(graph)
    }

    fn add(&mut self, from: &str, to: &str, is_built: bool) {
        self.all.entry(from.to_owned()).or_default().insert(to.to_owned());
        if is_built {
            self.built.entry(from.to_owned()).or_default().insert(to.to_owned());
        }
    }

    /// The shortest way from a package to another through what is built into it.
    fn way(&self, from: &str, to: &str) -> Option<Vec<String>> {
        let mut ways = vec![vec![from.to_owned()]];
        let mut seen = BTreeSet::from([from.to_owned()]);
        while !ways.is_empty() {
            let mut longer = Vec::new();
            for way in ways {
                let last = way.last()?;
                if last == to {
                    return Some(way);
                }
                for next in self.built.get(last).into_iter().flatten() {
                    if seen.insert(next.clone()) {
                        longer.push(way.iter().cloned().chain([next.clone()]).collect());
                    }
                }
            }
            ways = longer;
        }
        None
    }
}

/// Checks every arrow that starts in the workspace.
pub(crate) fn check(graph: &Graph, sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (member, manifest) in &graph.members {
        let mut find = |dependency: &str, what: String| {
            findings.push(Finding::new(manifest.clone(), line_of(manifest, dependency, sources), what));
        };
        if manifest.starts_with("crates/") && height(member).is_none() {
            find("name", format!("{member} has no layer; add it to LAYERS in xtask/src/tidy/layers.rs"));
        }
        for dependency in graph.all.get(member).into_iter().flatten() {
            if APART.iter().any(|(one, other)| {
                [(one, other), (other, one)].contains(&(&member.as_str(), &dependency.as_str()))
            }) {
                find(
                    dependency,
                    format!("{member} depends on {dependency}; these two never know each other"),
                );
            } else if height(member).zip(height(dependency)).is_some_and(|(from, to)| from < to) {
                find(
                    dependency,
                    format!("{member} depends on {dependency}, which is above it; turn the arrow around"),
                );
            }
        }
        let may_know = LAYERS.iter().any(|(name, may)| name == member && *may)
            || ["benches", "trials"].contains(&member.as_str());
        if let Some(way) = graph.way(member, BINDING).filter(|_| !may_know) {
            let first = way.get(1).map_or("", String::as_str);
            find(
                first,
                format!(
                    "{BINDING} is reached from {member} ({}); only NIXL's own rooms may",
                    way.join(" -> ")
                ),
            );
        }
    }
    findings
}

fn height(name: &str) -> Option<usize> {
    LAYERS.iter().position(|(layer, _)| *layer == name)
}

/// The line of a manifest that names a dependency.
fn line_of(manifest: &str, dependency: &str, sources: &[Source]) -> usize {
    let text =
        sources.iter().find(|source| source.path == manifest).map_or("", |source| source.text.as_str());
    let names =
        |line: &str| line.strip_prefix(dependency).is_some_and(|rest| rest.starts_with(['.', ' ', '=']));
    text.lines().position(names).map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a -> b` is built, `a ~> b` is a dev-dependency.
    fn graph(arrows: &[&str]) -> Graph {
        let mut graph = Graph::default();
        for arrow in arrows {
            let (from, kind, to) = match arrow.split(' ').collect::<Vec<_>>()[..] {
                [from, kind, to] => (from, kind, to),
                _ => panic!("{arrow}"),
            };
            graph.add(from, to, kind == "->");
            for name in [from, to].into_iter().filter(|name| name.starts_with("l2-") || *name == "nixl-safe")
            {
                graph.members.insert(name.into(), format!("crates/{name}/Cargo.toml"));
            }
        }
        graph
    }

    #[track_caller]
    fn check_arrows(arrows: &[&str], expect: &[&str]) {
        let found = check(&graph(arrows), &[]).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(found.len(), expect.len(), "{found:?}");
        for (found, expect) in found.iter().zip(expect) {
            assert!(found.contains(expect), "{found}");
        }
    }

    #[test]
    fn arrows_that_point_down_are_fine() {
        check_arrows(
            &[
                "l2-core -> l2-memory",
                "l2-engine -> nixl-safe",
                "nixl-safe -> nixl-sys",
                "l2-dynamic -> l2-engine",
            ],
            &[],
        );
    }

    #[test]
    fn an_arrow_up_is_found_also_among_dev_dependencies() {
        check_arrows(
            &["l2-memory -> l2-core"],
            &["crates/l2-memory/Cargo.toml:1: l2-memory depends on l2-core"],
        );
        check_arrows(&["l2-index ~> l2-engine"], &["l2-index depends on l2-engine"]);
        // A crate that turns a feature of its own on for its tests depends on itself.
        check_arrows(&["l2-core ~> l2-core"], &[]);
    }

    #[test]
    fn the_two_adapters_stay_apart_in_both_directions() {
        check_arrows(&["l2-dynamic -> l2-static"], &["never know each other"]);
        check_arrows(&["l2-static ~> l2-dynamic"], &["never know each other"]);
    }

    #[test]
    fn the_binding_is_found_through_other_packages() {
        check_arrows(
            &["l2-index -> helper", "helper -> nixl-sys"],
            &["nixl-sys is reached from l2-index (l2-index -> helper -> nixl-sys)"],
        );
        check_arrows(&["l2-index ~> helper", "helper -> nixl-sys"], &[]);
    }

    #[test]
    fn a_crate_without_a_layer_is_found() {
        check_arrows(&["l2-new -> l2-core"], &["l2-new has no layer"]);
    }

    #[test]
    fn a_finding_names_the_manifest_line() {
        let text = "[dependencies]\nl2-core-extra = \"1\"\nl2-core.workspace = true\n";
        let manifest = Source { path: "crates/l2-memory/Cargo.toml".into(), text: text.into() };
        let found = check(&graph(&["l2-memory -> l2-core"]), &[manifest]);
        assert_eq!(found.first().unwrap().line, 3);
    }

    #[test]
    fn cargos_answer_is_understood() {
        let metadata = r#"{
            "workspace_members": ["path+a", "path+b"],
            "packages": [
                {"id": "path+a", "name": "l2-core", "manifest_path": "/r/crates/l2-core/Cargo.toml"},
                {"id": "path+b", "name": "l2-memory", "manifest_path": "/r/crates/l2-memory/Cargo.toml"},
                {"id": "c", "name": "serde", "manifest_path": "/reg/serde/Cargo.toml"}],
            "resolve": {"nodes": [
                {"id": "path+a", "deps": [{"pkg": "path+b", "dep_kinds": [{"kind": null}]},
                                          {"pkg": "c", "dep_kinds": [{"kind": "dev"}]}]},
                {"id": "path+b", "deps": []}, {"id": "c", "deps": []}]}}"#;
        let graph = Graph::parse(metadata, "/r").unwrap();
        assert_eq!(graph.members["l2-core"], "crates/l2-core/Cargo.toml");
        assert_eq!(graph.members.len(), 2);
        assert!(graph.built["l2-core"].contains("l2-memory") && !graph.built["l2-core"].contains("serde"));
        assert!(graph.all["l2-core"].contains("serde"));
        assert!(Graph::parse("{}", "/r").is_none());
    }
}
